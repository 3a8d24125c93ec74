/** A query made on the dashboard as a file of the team's, ready to be committed. It never takes the place of another. */
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { stringify } from "yaml";
import { QUERIES_FOLDER } from "./load.ts";
import { type Chart, parseQueryFile } from "./query-file.ts";

export interface WrittenQuery {
  readonly name: string;
  readonly title: string;
  readonly sql: string;
  readonly chart?: Chart | undefined;
  /** Five fields, in UTC. */
  readonly schedule?: string | undefined;
}

/** The path from `root` on. Throws QUERY_FILE when it would not be read again, QUERY_EXISTS when there is one. */
export async function writeQueryFile(root: string, query: WrittenQuery): Promise<string> {
  const file = `${QUERIES_FOLDER}/${query.name}.sql`;
  const text = queryFileText(query);
  parseQueryFile(query.name, text, file);
  await mkdir(join(root, QUERIES_FOLDER), { recursive: true });
  const handle = await open(join(root, file), "wx").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new SlipwayError({
      code: "QUERY_EXISTS",
      where: file,
      message: "is there already",
      hint: "Choose another name, or edit the file.",
      exitCode: 2,
    });
  });
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  return file;
}

export function queryFileText({ title, sql, chart, schedule }: WrittenQuery): string {
  const head = stringify(
    {
      title,
      ...(chart === undefined ? {} : { chart }),
      ...(schedule === undefined ? {} : { schedule: { cron: schedule } }),
    },
    // Each value on one line: at the end of a block line breaks are lost, and a line of it could be one of the file's own.
    {
      blockQuote: false,
      singleQuote: false,
      doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY,
      lineWidth: 0,
    },
  );
  // Its last line break only: a title may end with a space that is none to YAML, which does not quote it.
  const comments = head
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `-- ${line}`);
  return `${comments.join("\n")}\n\n-- dialect: duckdb\n${sql.trim().replace(/;\s*$/, "")}\n`;
}
