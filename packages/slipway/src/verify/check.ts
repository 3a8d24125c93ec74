/**
 * A check as data: what it is about, what it expects, where it stands in the spec file, and a judge that turns an
 * observation into one of three verdicts. `unknown` is not a pass: a check that could not see must say so.
 */
import type { ImageFiles } from "../images/layers.ts";
import type { ImageConfigFile, ImageManifest } from "../images/oci.ts";

export type Verdict = "pass" | "fail" | "unknown";

export interface Judgement {
  readonly verdict: Verdict;
  /** What was seen instead, or why nothing could be seen. Secrets are never in it. At most 4 KB. */
  readonly evidence: string;
}

export const pass = (evidence = ""): Judgement => ({ verdict: "pass", evidence });
export const fail = (evidence: string): Judgement => ({ verdict: "fail", evidence });
export const unknown = (evidence: string): Judgement => ({ verdict: "unknown", evidence });

/** All that engine `none` reads of an image, opened once for all its checks. */
export interface ImageView {
  readonly name: string;
  readonly digest: string;
  readonly manifest: ImageManifest;
  readonly config: ImageConfigFile;
  readonly files: ImageFiles;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Source = "config" | "layers" | "http";

export interface ImageCheck {
  readonly kind: "image";
  readonly image: string;
  /** `file /etc/passwd` */
  readonly subject: string;
  /** `mode 0644` */
  readonly expectation: string;
  readonly source: Source;
  /** `spec/web.ts:14:3` */
  readonly place: string;
  readonly judge: (view: ImageView) => Judgement | Promise<Judgement>;
}

/** One request of a service check; its expectations are judged on the same answer. */
export interface HttpRequestSpec {
  readonly service: string;
  readonly cluster: string | undefined;
  readonly port: number | string | undefined;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The request is repeated until every expectation holds, at most this long. 0: once. */
  readonly deadlineMs: number;
}

export interface HttpCheck {
  readonly kind: "http";
  readonly request: HttpRequestSpec;
  readonly subject: string;
  readonly expectation: string;
  readonly place: string;
  readonly judge: (answer: HttpAnswer) => Judgement;
}

export type Check = ImageCheck | HttpCheck;

export type Expected = string | RegExp;

export const showExpected = (expected: Expected): string =>
  typeof expected === "string" ? JSON.stringify(expected) : String(expected);

/** Strings are compared exactly, after one trailing newline is taken off; expressions search. */
export function matches(actual: string, expected: Expected): boolean {
  return typeof expected === "string" ? actual.replace(/\n$/, "") === expected : expected.test(actual);
}

/** A flag like `g` would make the second test of an expression start where the first ended. */
export function withoutState(expected: Expected): Expected {
  if (typeof expected === "string") return expected;
  return new RegExp(expected.source, expected.flags.replace(/[gy]/g, ""));
}
