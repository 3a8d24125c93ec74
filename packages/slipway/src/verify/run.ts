/**
 * collect → observe → judge. Each image is opened once for all its checks, each HTTP request is made for all its
 * expectations together (and repeated until they hold or its deadline ends).
 *
 * Exit codes: 0 all passed · 1 a check failed · 2 a mistake in a spec file, or no checks at all · 3 an image is
 * missing (one error, not one per check) · 4 nothing failed but something is unknown.
 */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { type Clock, SlipwayError, systemCode } from "@slipway/base";
import type { BuiltImage } from "../images/image.ts";
import { ImageFiles } from "../images/layers.ts";
import { ImageLayout } from "../images/layout.ts";
import { hostPlatform, MEDIA, type Platform } from "../images/oci.ts";
import { readImageAt } from "../images/source.ts";
import {
  type Check,
  type HttpAnswer,
  type HttpCheck,
  type HttpRequestSpec,
  type ImageCheck,
  type ImageView,
  type Judgement,
  type Source,
  unknown,
  type Verdict,
} from "./check.ts";
import { collect } from "./collect.ts";
import { defaultImageChecks } from "./defaults.ts";
import { imageTarget } from "./verify.ts";

/** How service checks reach what is deployed; provided by the CLI (through the world's network, or a port-forward). */
export interface ServiceAccess {
  /** `cluster` undefined: the first. `port` undefined: the Service's first. Rejects when nothing answers. */
  fetch(
    cluster: string | undefined,
    service: string,
    port: number | string | undefined,
    path: string,
    options: {
      readonly method: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
  }>;
}

export interface VerifyOptions {
  /** Spec files, or folders of them. */
  readonly files: readonly string[];
  readonly images: readonly BuiltImage[];
  /** Places in the output are shown relative to it. */
  readonly root: string;
  readonly clock: Clock;
  /** Undefined: service checks are unknown. */
  readonly services?: ServiceAccess | undefined;
  /** Adds `defaultImageChecks` for every image. */
  readonly includeDefaults?: boolean;
  /** Only image checks, only service checks, or (default) both: images are checked before a deploy, services after. */
  readonly only?: "image" | "service";
  /** Part of a check's full name. */
  readonly filter?: string | undefined;
  readonly allowUnknown?: boolean;
  readonly platform?: Platform;
}

export interface CheckResult {
  /** `image web` */
  readonly target: string;
  /** `file /app/server.js` */
  readonly subject: string;
  /** `mode 0644` */
  readonly expectation: string;
  readonly verdict: Verdict;
  readonly evidence: string;
  /** `spec/web.ts:14:3` */
  readonly place: string;
  readonly observedFrom: Source | "nothing";
  readonly digest: string | undefined;
  readonly durationMs: number;
  readonly attempts: number;
}

export interface VerifyReport {
  readonly results: readonly CheckResult[];
  readonly passed: number;
  readonly failed: number;
  readonly unknown: number;
  readonly durationMs: number;
  readonly exitCode: 0 | 1 | 2 | 4;
}

const MAX_EVIDENCE = 4096;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 500;

/** Rejects with VERIFY_SPEC_INVALID, VERIFY_SPEC_MISSING (exit 2) or VERIFY_IMAGE_MISSING (exit 3). */
export async function runVerify(options: VerifyOptions): Promise<VerifyReport> {
  const startedAt = options.clock.monotonic();
  const collected = await collectChecks(options);
  const checks = collected.filter((check) => isWanted(check, options));
  const results = new Map<Check, CheckResult>();
  await observeImages(options, checks, results);
  await observeServices(options, checks, results);
  const inOrder = checks.map((check) => results.get(check) as CheckResult);
  const count = (verdict: Verdict): number => inOrder.filter((result) => result.verdict === verdict).length;
  const failed = count("fail");
  const unknowns = count("unknown");
  return {
    results: inOrder,
    passed: count("pass"),
    failed,
    unknown: unknowns,
    durationMs: options.clock.monotonic() - startedAt,
    exitCode:
      inOrder.length === 0 ? 2 : failed > 0 ? 1 : unknowns > 0 && options.allowUnknown !== true ? 4 : 0,
  };
}

// Collecting

let runs = 0;

async function collectChecks(options: VerifyOptions): Promise<readonly Check[]> {
  const files = (await Promise.all(options.files.map(specFiles))).flat();
  runs += 1;
  const fromSpecs = await collect(async () => {
    for (const file of files) await importSpec(file, runs);
  });
  const builtIn: Check[] = [];
  if (options.includeDefaults === true) {
    for (const { name } of options.images) {
      defaultImageChecks(imageTarget(name, (check) => builtIn.push({ ...check, place: "built-in" })));
    }
  }
  return [...builtIn, ...fromSpecs];
}

async function specFiles(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path, { recursive: true });
    return names
      .filter((name) => /\.(?:ts|mts|js|mjs)$/.test(name) && !/(?:^|\/)node_modules\//.test(name))
      .filter((name) => !/\.d\.m?ts$/.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new SlipwayError({
      code: "VERIFY_SPEC_MISSING",
      where: path,
      message: "there is no such spec file or folder",
      hint: "Correct `verify` in slipway.config.ts.",
      exitCode: 2,
    });
  }
}

/** The number makes Node run a file again that an earlier run in this process had loaded. */
async function importSpec(file: string, run: number): Promise<void> {
  try {
    await import(`${pathToFileURL(file).href}?run=${run}`);
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError({
      code: "VERIFY_SPEC_INVALID",
      where: file,
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      hint: "The spec file could not be run; it is TypeScript of which only the types are removed (no enums).",
      cause: error,
      exitCode: 2,
    });
  }
}

const targetOf = (check: Check): string =>
  check.kind === "image" ? `image ${check.image}` : `service ${check.request.service}`;

function isWanted(check: Check, options: VerifyOptions): boolean {
  if (options.only === "image" && check.kind !== "image") return false;
  if (options.only === "service" && check.kind !== "http") return false;
  const name = `${targetOf(check)} › ${check.subject} › ${check.expectation}`;
  return options.filter === undefined || name.includes(options.filter);
}

// Images

async function observeImages(
  options: VerifyOptions,
  checks: readonly Check[],
  results: Map<Check, CheckResult>,
): Promise<void> {
  const byImage = Map.groupBy(
    checks.filter((check) => check.kind === "image"),
    (check) => check.image,
  );
  for (const [name, group] of byImage) {
    const view = await openImage(name, group[0] as ImageCheck, options);
    for (const check of group) {
      const startedAt = options.clock.monotonic();
      const judgement = await judgeSafely(() => check.judge(view));
      results.set(check, {
        ...outline(check, options),
        ...bounded(judgement),
        observedFrom: check.source,
        digest: view.digest,
        durationMs: options.clock.monotonic() - startedAt,
        attempts: 1,
      });
    }
  }
}

async function openImage(name: string, first: ImageCheck, options: VerifyOptions): Promise<ImageView> {
  const image = options.images.find((one) => one.name === name);
  if (image === undefined) {
    throw new SlipwayError({
      code: "VERIFY_IMAGE_MISSING",
      where: shortPlace(first.place, options.root),
      message: `there is no image "${name}"; there are ${options.images.map((one) => one.name).join(", ") || "none"}`,
      hint: "Name a key under images in slipway.config.ts, and build it first (slipway build).",
      exitCode: 3,
    });
  }
  const layout = await ImageLayout.open(image.layout);
  const held = await layout.resolve(image.name, image.digest);
  const size = await layout.size(image.digest);
  const descriptor = held ?? { mediaType: MEDIA.manifest, digest: image.digest, size: size ?? 0 };
  const read = await readImageAt(layout, descriptor, options.platform ?? hostPlatform());
  return {
    name,
    digest: image.digest,
    manifest: read.manifest,
    config: { ...read.config, config: read.config.config ?? {} },
    files: await ImageFiles.open(layout, read.manifest),
  };
}

/** A judge that throws could not see: damaged layer, unreadable file. That is unknown, not a crash of the run. */
async function judgeSafely(judge: () => Judgement | Promise<Judgement>): Promise<Judgement> {
  try {
    return await judge();
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    return unknown(error.message);
  }
}

// Services

async function observeServices(
  options: VerifyOptions,
  checks: readonly Check[],
  results: Map<Check, CheckResult>,
): Promise<void> {
  const byRequest = Map.groupBy(
    checks.filter((check) => check.kind === "http"),
    (check) => check.request,
  );
  await Promise.all(
    [...byRequest].map(async ([request, group]) => {
      const startedAt = options.clock.monotonic();
      const seen = await observe(request, group, options);
      for (const check of group) {
        results.set(check, {
          ...outline(check, options),
          ...bounded(seen.answer === undefined ? seen.failure : check.judge(seen.answer)),
          observedFrom: seen.answer === undefined ? "nothing" : "http",
          digest: undefined,
          durationMs: options.clock.monotonic() - startedAt,
          attempts: seen.attempts,
        });
      }
    }),
  );
}

type Observation =
  | { readonly answer: HttpAnswer; readonly failure?: undefined; readonly attempts: number }
  | { readonly answer?: undefined; readonly failure: Judgement; readonly attempts: number };

async function observe(
  request: HttpRequestSpec,
  checks: readonly HttpCheck[],
  options: VerifyOptions,
): Promise<Observation> {
  const { services, clock } = options;
  if (services === undefined) {
    return { failure: unknown("nothing is deployed yet, or it cannot be reached from here"), attempts: 0 };
  }
  const deadline = clock.monotonic() + request.deadlineMs;
  let wait = FIRST_WAIT_MS;
  for (let attempts = 1; ; attempts += 1) {
    const seen = await ask(services, request, attempts, clock);
    const { answer } = seen;
    const isDone = answer !== undefined && checks.every((check) => check.judge(answer).verdict === "pass");
    if (isDone || clock.monotonic() + wait > deadline) return seen;
    await clock.sleep(wait);
    wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  }
}

/** A refused connection is a failure, not an unknown: the service was asked and did not answer. */
async function ask(
  services: ServiceAccess,
  request: HttpRequestSpec,
  attempts: number,
  clock: Clock,
): Promise<Observation> {
  const timeoutMs = Math.max(1_000, request.deadlineMs);
  const isAnswered = new AbortController();
  const giveUp = new AbortController();
  clock.sleep(timeoutMs, isAnswered.signal).then(
    () => giveUp.abort(new Error(`nothing came for ${timeoutMs} ms`)),
    () => {},
  );
  try {
    const { cluster, service, port, path, method, headers } = request;
    const options = { method, headers, signal: giveUp.signal };
    const response = await services.fetch(cluster, service, port, path, options);
    const lower = Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value]);
    const body = Buffer.from(response.body).toString("utf8");
    return { answer: { status: response.status, headers: Object.fromEntries(lower), body }, attempts };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { failure: { verdict: "fail", evidence: `no answer: ${why}` }, attempts };
  } finally {
    isAnswered.abort();
  }
}

// Results

function outline(
  check: Check,
  options: VerifyOptions,
): Pick<CheckResult, "target" | "subject" | "expectation" | "place"> {
  return {
    target: targetOf(check),
    subject: check.subject,
    expectation: check.expectation,
    place: shortPlace(check.place, options.root),
  };
}

const bounded = (judgement: Judgement): Judgement => ({
  verdict: judgement.verdict,
  evidence: judgement.evidence.slice(0, MAX_EVIDENCE),
});

const shortPlace = (place: string, root: string): string =>
  place.startsWith(`${root}/`) ? relative(root, place) : place;
