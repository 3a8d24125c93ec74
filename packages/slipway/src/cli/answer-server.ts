/**
 * Where bin/ask.bash asks a watching build: TCP on loopback, which bash speaks by itself. `.slipway/build/watch` has the port and two
 * secrets, for the eyes of this user. A question is a line, the first secret and the number of the process that asks; what that
 * process was started for the system knows. The answer: `-`, or `+` with the second secret, which another program that has the port
 * since does not know; then lines that begin with 1 (standard output) or 2 (standard error), and `=` with the exit code. An end
 * without that: build by yourself.
 */
import { existsSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { isSameSecret, newSecret, readTextIfExists, systemCode, writeAtomic } from "@slipway/base";
import type { Asker } from "./build-answers.ts";
import { difference, readCommand } from "./same-command.ts";

const MAX_QUESTION_BYTES = 200;

export interface AnswerServer {
  /** To be found again, where its record was removed: `.slipway` may be, and another that watched here since takes its own with it. */
  stay(): Promise<void>;
  close(): Promise<void>;
}

/** Undefined where there is no loopback, no place for the file, or the system does not tell what a process was started for. */
export async function serveAnswers(ports: {
  readonly file: string;
  /** Why nobody is answered now; undefined: who asks for the same is. */
  readonly refusal: () => string | undefined;
  /** All that changed before has been heard by then. */
  readonly onAsked: (asker: Asker) => void;
  readonly onRefused: (why: string) => void;
}): Promise<AnswerServer | undefined> {
  const own = readCommand("self");
  if (own === undefined) return undefined;
  const [token, proof] = [newSecret(), newSecret()];
  const sockets = new Set<Socket>();

  const answer = (socket: Socket, question: string): void => {
    const [given = "", pid = ""] = question.split(" ");
    if (!isSameSecret(given, token)) return void socket.destroy();
    const other = readCommand(Number(pid));
    const why = ports.refusal() ?? (other === undefined ? "it runs elsewhere" : difference(own, other));
    if (why === undefined) {
      socket.write(`+${proof}\n`);
      // The system tells of changes in their order, and this turn of the event loop or the next hears what it told.
      return void setImmediate(() => setImmediate(() => ports.onAsked(askerAt(socket))));
    }
    socket.end("-\n");
    ports.onRefused(why);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // whoever asked has gone
    socket.on("close", () => sockets.delete(socket));
    let question = "";
    const read = (text: string): void => {
      question += text;
      if (question.length > MAX_QUESTION_BYTES) return void socket.destroy();
      if (!question.includes("\n")) return;
      socket.off("data", read).resume();
      answer(socket, question.slice(0, question.indexOf("\n")));
    };
    socket.setEncoding("utf8").on("data", read);
  });
  const port = await new Promise<number | undefined>((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" ? address?.port : undefined);
    });
  });
  if (port === undefined) return undefined;
  const record = `${port} ${token} ${proof}\n`;
  try {
    await writeAtomic(ports.file, record, 0o600);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    server.close();
    return undefined;
  }
  return {
    async stay() {
      if (existsSync(ports.file)) return;
      await writeAtomic(ports.file, record, 0o600).catch((error) => {
        if (systemCode(error) === undefined) throw error;
      });
    },
    async close() {
      // Another that watches here since has its own in this place.
      if ((await readTextIfExists(ports.file)) === record) rmSync(ports.file, { force: true });
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function askerAt(socket: Socket): Asker {
  return {
    say(stream, text) {
      // `^` would also stand behind what are no ends of lines to bash, as \r.
      const lines = text.replace(/\n$/, "").split("\n");
      socket.write(lines.map((line) => `${stream}${line}\n`).join(""));
    },
    end: (exitCode) => void socket.end(`=${exitCode}\n`),
    leave: () => void socket.destroy(),
  };
}
