/** Reads files of container-structure-test (YAML or JSON, schema 2.0.0) into checks of one image. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";
import { isNode, LineCounter, parseDocument } from "yaml";
import type { Check } from "../check.ts";
import { checksOf } from "./checks.ts";
import { schema, UNSUPPORTED } from "./schema.ts";

export interface StructureTestOptions {
  readonly cwd: string;
  /** Names of the project's images. */
  readonly images: readonly string[];
  /** The one that is meant; may be left out when there is only one. */
  readonly image: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Rejects with VERIFY_STRUCTURE_TEST_… (exit 2), which names the file, the line and the field. */
export async function collectStructureTests(
  files: readonly string[],
  options: StructureTestOptions,
): Promise<readonly Check[]> {
  if (files.length === 0) return [];
  const image = options.image ?? (options.images.length === 1 ? options.images[0] : undefined);
  if (image === undefined) {
    throw new SlipwayError({
      code: "VERIFY_STRUCTURE_TEST_IMAGE",
      where: files[0],
      message: `does not say which image it is about; there are ${options.images.join(", ") || "none"}`,
      hint: "Name it with --image.",
      exitCode: 2,
    });
  }
  const read = files.map(async (file) => {
    const path = resolve(options.cwd, file);
    return parseStructureTest(await textOf(path), path, image, options.env ?? {});
  });
  return (await Promise.all(read)).flat();
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw invalid(path, "there is no such file", "Correct the name after --structure-test.");
  }
}

export function parseStructureTest(
  text: string,
  file: string,
  image: string,
  env: Readonly<Record<string, string | undefined>> = {},
): readonly Check[] {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const placeOf = (path: readonly (string | number)[]): string => {
    for (let length = path.length; length > 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true);
      if (!isNode(node) || node.range == null) continue;
      const { line, col } = counter.linePos(node.range[0]);
      return `${file}:${line}:${col}`;
    }
    return `${file}:1:1`;
  };
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    const { line, col } = counter.linePos(mistake.pos[0]);
    throw invalid(`${file}:${line}:${col}`, mistake.message.split("\n")[0] ?? "is not YAML");
  }
  const parsed = schema.safeParse(document.toJS());
  if (parsed.success) return checksOf(parsed.data, { image, placeOf, env });
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? []).map((one) => (typeof one === "symbol" ? String(one) : one));
  if (issue?.code === "unrecognized_keys") {
    const field = issue.keys[0] ?? "";
    const why = UNSUPPORTED[field];
    throw invalid(
      placeOf([...path, field]),
      `${[...path, field].join(".")} is ${why === undefined ? "not a field of container-structure-test 2.0.0" : "not supported"}`,
      why === undefined ? undefined : `${why[0]?.toUpperCase()}${why.slice(1)}.`,
    );
  }
  throw invalid(placeOf(path), `${path.join(".") || "the document"}: ${issue?.message ?? "is not valid"}`);
}

const invalid = (where: string, message: string, hint?: string): SlipwayError =>
  new SlipwayError({ code: "VERIFY_STRUCTURE_TEST_INVALID", where, message, hint, exitCode: 2 });
