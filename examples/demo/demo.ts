/**
 * The main job, watched from start to end, on real input: a copy of the shop in a git repository of its own is
 * shipped to two local clusters, updated, broken, rolled back by itself, loses a region, and is taken back by hand,
 * while a separate process sends 200 requests a second and counts every failure. At the end all of it is on the dashboard.
 * How it is called is in options.ts.
 */
import { formatDuration, renderError, renderTable, SlipwayError } from "@slipway/base";
import type { StepReport } from "./load.ts";
import { type DemoOptions, readOptions, USAGE } from "./options.ts";
import { type Stage, setStage } from "./stage.ts";

const { keep, sabotage } = asked();

interface Row {
  readonly step: string;
  readonly ms: number;
  readonly load: Promise<StepReport> | undefined;
  readonly readyMin: string;
  readonly verdict: string;
  readonly expected: string;
  readonly cause: string;
}

const rows: Row[] = [];
const complaints: string[] = [];
const startedAt = performance.now();
const stage = await setStage({ sabotage, say });
let isInterrupted = false;
process.once("SIGINT", () => {
  isInterrupted = true;
  void stage.strike().then(() => process.exit(130));
});

try {
  await play(stage);
} catch (error) {
  complaints.push(error instanceof Error ? error.message : String(error));
} finally {
  if (!isInterrupted) await finish(stage);
}

function asked(): DemoOptions {
  try {
    const options = readOptions(process.argv.slice(2));
    if (!options.help) return options;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    console.error(renderError(error));
    process.exit(2);
  }
}

async function play(on: Stage): Promise<void> {
  await step("start the world", { expected: "ready" }, async () => {
    await on.slipway("local", "up");
    return { verdict: "ready" };
  });
  await step("ship v1", { expected: "healthy" }, () => on.ship());
  await on.startLoad();
  await step("steady load", { expected: "healthy", releases: ["v1"] }, async () => {
    await on.pause(3000);
    return { verdict: "healthy" };
  });
  if (sabotage !== "no-retry") {
    await on.commit("v2", "new prices");
    await step("ship v2", { expected: "healthy", releases: ["v1", "v2"], floor: true }, () => on.ship());
  }
  if (sabotage === undefined) {
    await on.commitCrash("v3", "read the payment address from the environment");
    await step(
      "ship v3, which crashes",
      { expected: "rolled-back", releases: ["v2"], floor: true },
      async () => {
        const result = await on.ship();
        if (result.cause !== "ContainerCrash")
          complaints.push(`v3: the cause should be ContainerCrash, got ${result.cause ?? "none"}`);
        if (result.causeAfterMs === undefined || result.causeAfterMs > 10_000) {
          complaints.push(
            `v3: the cause was named ${result.causeAfterMs === undefined ? "never" : `${formatDuration(result.causeAfterMs)} after the first crash`}; at most 10 s are allowed`,
          );
        } else
          say(
            `the cause was named ${formatDuration(result.causeAfterMs)} after the first crash; osaka never saw this release`,
          );
        return result;
      },
    );
    await on.revert();
  }
  if (sabotage === undefined || sabotage === "no-retry") {
    const releases = sabotage === undefined ? ["v2"] : ["v1"];
    await step("lose osaka", { expected: "served by tokyo", releases }, () => on.lose("osaka"));
    await step("osaka comes back", { expected: "healthy", releases }, () => on.restore("osaka"));
  }
  if (sabotage === undefined) {
    // By number: v3 went back by itself, and nothing leaves the good v2 without being told so.
    await step("slipway rollback 1", { expected: "healthy", releases: ["v2", "v1"], floor: true }, () =>
      on.rollback(1),
    );
    await step("steady load again", { expected: "healthy", releases: ["v1"] }, async () => {
      await on.pause(2000);
      return { verdict: "healthy" };
    });
    await step("look at the dashboard", { expected: "shows v1, v2 and the broken v3" }, () => look(on));
  }
}

/** Releases 1, 2 and 3 are v1, v2 and the one that crashed; what came after is there as well. */
async function look(on: Stage): Promise<Result> {
  const seen = await on.dashboard([1, 2]);
  const table = seen.map(({ release, requests, errorRatio, p95 }) => [
    `release ${release.number}`,
    release.message,
    release.outcome,
    `${requests} requests`,
    requests === 0 ? "" : `${Number((errorRatio * 100).toFixed(2))} % failed, p95 ${p95} ms`,
    release.cause ?? "",
  ]);
  for (const line of renderTable(table).split("\n")) say(line);
  const broken = seen.find(({ release }) => release.number === 3)?.release;
  const isShown = broken?.outcome === "rolled-back" && broken.cause !== undefined;
  return {
    verdict: isShown
      ? "shows v1, v2 and the broken v3"
      : `shows release 3 as ${broken?.outcome ?? "nothing"}`,
  };
}

interface Result {
  readonly verdict: string;
  readonly cause?: string | undefined;
}

async function step(
  name: string,
  options: { readonly expected: string; readonly releases?: readonly string[]; readonly floor?: boolean },
  act: () => Promise<Result>,
): Promise<void> {
  console.log(`\n${bold(`▸ ${name}`)}`);
  const began = performance.now();
  const load = options.releases === undefined ? undefined : stage.beginStep(name, options.releases);
  const result = await act();
  const readyMin = stage.takeReadyMin();
  if (result.verdict !== options.expected)
    complaints.push(`${name}: the verdict should be ${options.expected}, got ${result.verdict}`);
  if (options.floor && readyMin.lowest < readyMin.wanted) {
    complaints.push(
      `${name}: only ${readyMin.lowest} of ${readyMin.wanted} pods of ${readyMin.name} were ready at the lowest point`,
    );
  }
  rows.push({
    step: name,
    ms: performance.now() - began,
    load,
    readyMin: readyMin.wanted === 0 ? "" : `${readyMin.lowest}/${readyMin.wanted}`,
    verdict: result.verdict,
    expected: options.expected,
    cause: result.cause ?? "",
  });
}

async function finish(on: Stage): Promise<void> {
  await on.stopLoad();
  const table: string[][] = [
    ["STEP", "TIME", "REQUESTS", "FAILED", "EXCUSED", "LOWEST READY", "VERDICT", "CAUSE"],
  ];
  const notes: string[] = [];
  for (const row of rows) {
    const load = await row.load;
    table.push([
      row.step,
      formatDuration(row.ms),
      load === undefined ? "-" : String(load.sent),
      load === undefined ? "-" : String(load.failed),
      load === undefined || load.excused === 0 ? "" : String(load.excused),
      row.readyMin,
      row.verdict,
      row.cause,
    ]);
    if (load === undefined) continue;
    if (load.sent === 0) complaints.push(`${row.step}: no request was sent`);
    if (load.failed > 0)
      complaints.push(
        `${row.step}: ${load.failed} of ${load.sent} requests failed, for example\n    ${load.samples.join("\n    ")}`,
      );
    if (load.excused > 0)
      notes.push(
        `excused in "${row.step}": ${load.excused} requests that were on their way to osaka in the instant it vanished`,
      );
  }
  console.log(`\n${renderTable(table)}\n`);
  for (const note of notes) console.log(note);
  console.log(`total ${formatDuration(performance.now() - startedAt)}`);
  // What went wrong is worth a look as well.
  const left = keep ? await on.describe().catch(() => undefined) : undefined;
  if (left === undefined) await on.strike();
  else {
    on.leave();
    console.log(
      `\nThe world is left up:\n${left}\nStop it with:\n  (cd ${on.folder} && ${on.bin} local down --delete) && rm -r ${on.folder}`,
    );
  }
  if (complaints.length > 0) {
    console.error(`\n${bold("✗ not as it must be")}\n  ${complaints.join("\n  ")}`);
    process.exitCode = 1;
  } else console.log(`\n${bold("✓ every request was answered, by the release and in the way it must be")}`);
}

function say(line: string): void {
  console.log(`  ${line}`);
}

function bold(text: string): string {
  return process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text;
}
