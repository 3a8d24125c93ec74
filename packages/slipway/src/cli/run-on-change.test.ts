import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { SlipwayError, systemClock, until } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { type Round, runOnChange } from "./run-on-change.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-watch-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("a change runs it again, a mistake waits for the next change, an interruption ends it", async () => {
  const file = join(folder, "web.ts");
  const stop = new AbortController();
  const said: string[] = [];
  const errors: string[] = [];
  const context = {
    clock: systemClock,
    signal: stop.signal,
    writeError: (text: string) => errors.push(text),
  } as unknown as CliContext;
  const output = { say: (line: string) => void said.push(line), emit: () => {} };
  let seen = "";
  await writeFile(file, "1");
  const ended = runOnChange(
    context,
    output,
    () => [{ path: folder }],
    async () => {
      seen = await readFile(file, "utf8");
      if (seen === "oops")
        throw new SlipwayError({ code: "VERIFY_SPEC_INVALID", message: seen, exitCode: 2 });
    },
  );
  try {
    for (const text of ["2", "oops", "3"]) {
      await writeFile(file, text);
      // How often it runs for that is nobody's business: one write may be seen as two changes.
      await until(`it has read ${text}`, () => seen === text);
    }
    assert.match(errors.join(""), /oops/);
    await until("it waits", () => said.includes("  waiting for changes"));
    stop.abort();
    assert.equal(await ended, 130);
  } finally {
    stop.abort();
    await ended;
  }
});

/** With --json: `run` gets the number of its round, and may throw. */
function watching(watched: () => readonly string[], run: (round: number) => void) {
  const stop = new AbortController();
  const lines: unknown[] = [];
  const context = { clock: systemClock, signal: stop.signal } as CliContext;
  const output = { isJson: true, say: () => {}, emit: (line: unknown) => void lines.push(line) };
  let round = 0;
  const ended = runOnChange(
    context,
    output,
    () => watched().map((path) => ({ path })),
    async () => run(++round),
  );
  return { ended, lines, stop: () => stop.abort(), round: () => round };
}

test("with --json mistakes are lines of it, and a file that went while it was read is one", async () => {
  const file = join(folder, "json");
  const running = watching(
    () => [file],
    (round) => {
      if (round === 1)
        throw new SlipwayError({ code: "IMAGES_INVALID", message: "is no image", exitCode: 2 });
      readFileSync(join(folder, "gone"));
    },
  );
  const waited = (times: number) =>
    until(
      `it waits ${times} times`,
      () => running.lines.filter((line) => isDeepStrictEqual(line, { kind: "waiting" })).length >= times,
    );
  try {
    await waited(1);
    await writeFile(file, "x");
    await waited(2);
    const [first, , second] = running.lines as { error: { code: string; message: string } }[];
    assert.deepEqual(first, { error: { code: "IMAGES_INVALID", message: "is no image" } });
    assert.equal(second?.error.code, "SYSTEM_REFUSED");
    assert.match(second.error.message, /^ENOENT: no such file or directory, open '.*gone'$/);
  } finally {
    running.stop();
    await running.ended;
  }
});

test("a change may change what is watched", async () => {
  const [list, other] = [join(folder, "list"), join(folder, "beside/other")];
  await mkdir(join(folder, "beside"));
  await Promise.all([list, other].map((path) => writeFile(path, "")));
  let [watched, seen]: string[] = [];
  const running = watching(
    () => {
      watched = readFileSync(list, "utf8");
      return [list, ...(watched === "" ? [] : [watched])];
    },
    () => {
      seen = watched === other ? readFileSync(other, "utf8") : undefined;
    },
  );
  try {
    await until("the first run", () => running.round() > 0);
    await writeFile(list, other);
    await until("the run that watches the other", () => seen === "");
    await writeFile(other, "x");
    await until("the run that it starts", () => seen === "x");
  } finally {
    running.stop();
    await running.ended;
  }
});

test("a bug of ours ends it; whatever breaks off after an interruption is none", async () => {
  const bug = new TypeError("x is not a function");
  const throws = (): void => {
    throw bug;
  };
  await assert.rejects(watching(() => [folder], throws).ended, bug);
  const running = watching(
    () => [folder],
    () => {
      running.stop();
      throws();
    },
  );
  assert.equal(await running.ended, 130);
});

test("a run that is asked for needs no change, and one that has not begun yet is what was asked for", async () => {
  const stop = new AbortController();
  const context = { clock: systemClock, signal: stop.signal } as CliContext;
  const said: string[] = [];
  const output = { say: (line: string) => void said.push(line), emit: () => {} };
  let [again, begun, runs] = [() => {}, 0, 0];
  let [asksBefore, asksAfter] = [false, false];
  let gate = Promise.resolve();
  const ended = runOnChange(
    context,
    output,
    () => {
      if (asksBefore) again();
      asksBefore = false;
      return [{ path: join(folder, "asked") }];
    },
    async () => {
      runs += 1;
      await gate;
    },
    {
      begin(round) {
        assert.equal(round.isOutdated(), false);
        begun += 1;
        if (asksAfter) again();
        asksAfter = false;
      },
      onAgain(given) {
        again = given;
      },
    },
  );
  const waits = (times: number) => until(`it waits ${times} times`, () => said.length === times);
  try {
    await waits(1);
    assert.deepEqual([begun, runs], [1, 1]);
    asksBefore = true;
    again();
    await waits(2);
    assert.deepEqual([begun, runs], [2, 2], "the one that was about to begin");
    asksAfter = true;
    again();
    await waits(4);
    assert.deepEqual([begun, runs], [4, 4], "asked for when one had begun");
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    again();
    await until("it runs", () => runs === 5);
    again();
    resolve();
    await waits(6);
    assert.deepEqual([begun, runs], [6, 6], "asked for while one ran");
  } finally {
    stop.abort();
    await ended;
  }
  assert.deepEqual([begun, runs], [6, 6]);
});

test("a round is outdated from the first change on, also when a later one has begun; where there is none, that is told", async () => {
  const file = join(folder, "outdated");
  const stop = new AbortController();
  const context = { clock: systemClock, signal: stop.signal, writeError: () => {} } as unknown as CliContext;
  const output = { say: () => {}, emit: () => {} };
  const rounds: Round[] = [];
  let [isBroken, without] = [false, 0];
  await writeFile(file, "1");
  const ended = runOnChange(
    context,
    output,
    () => {
      if (isBroken) throw new SlipwayError({ code: "WATCH_REFUSED", message: "no more", exitCode: 3 });
      return [{ path: file }];
    },
    async () => {},
    {
      begin: (round) => void rounds.push(round),
      onNoRun() {
        without += 1;
      },
    },
  );
  try {
    await until("the first", () => rounds.length === 1);
    await writeFile(file, "2");
    await until("the second", () => rounds.length > 1);
    assert.equal(rounds[0]?.isOutdated(), true);
    isBroken = true;
    await writeFile(file, "3");
    await until("none", () => without > 0);
    assert.equal(rounds[0]?.isOutdated(), true);
  } finally {
    stop.abort();
    await ended;
  }
});
