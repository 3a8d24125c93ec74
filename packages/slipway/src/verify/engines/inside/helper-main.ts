/**
 * The helper's own process: this machine's Node in a container's network namespace (and in its user namespace, where
 * there is one). It lives as long as its standard input is open, so it goes with whoever started it.
 */
import { createInterface } from "node:readline";
import { systemCode } from "@slipway/base/error";
import { httpInside, reachInside } from "./dial.ts";
import { resolveName } from "./names.ts";
import { processesOf } from "./processes.ts";
import type { FromHelper, ToHelper } from "./protocol.ts";
import { entriesIn, lookupIn, readIn } from "./root.ts";
import { socketsOf } from "./sockets.ts";

const now = (): number => performance.now();

async function answer(question: ToHelper): Promise<unknown> {
  const { pid } = question;
  const root = `/proc/${pid}/root`;
  const resolve = async (name: string, timeoutMs: number): Promise<readonly string[]> =>
    resolveName(name, await nameFiles(root), timeoutMs);
  switch (question.do) {
    case "http":
      return await httpInside(question.request, resolve, now);
    case "reach":
      return await reachInside(question.host, question.port, question.timeoutMs, resolve, now);
    case "resolve":
      return await resolve(question.name, question.timeoutMs);
    case "sockets":
      return socketsOf(pid);
    case "processes":
      return processesOf(pid);
    case "lookup":
      return lookupIn(root, question.path, question.isLinkKept);
    case "read":
      return (await readIn(root, question.path, question.limit < 0 ? undefined : question.limit)).toString(
        "base64",
      );
    case "entries":
      return entriesIn(root);
  }
}

/** An image without these files has no names but what an address says. */
async function nameFiles(root: string): Promise<{ readonly hosts: string; readonly resolvConf: string }> {
  const text = async (path: string): Promise<string> =>
    lookupIn(root, path).kind === "found" ? (await readIn(root, path, 1024 * 1024)).toString("utf8") : "";
  return { hosts: await text("/etc/hosts"), resolvConf: await text("/etc/resolv.conf") };
}

function reply(message: FromHelper): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const question = JSON.parse(line) as ToHelper;
    answer(question).then(
      (value) => reply({ id: question.id, value }),
      (error: unknown) =>
        reply({
          id: question.id,
          error: { code: systemCode(error), message: error instanceof Error ? error.message : String(error) },
        }),
    );
  })
  .on("close", () => process.exit(0));
