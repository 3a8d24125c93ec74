/**
 * What a registry must do, request by request, from the table of end points of the OCI distribution specification 1.1:
 * one suite for the embedded registry and for others. A registry's `lacks` names the cases that it is known to fail, with
 * the reason; such a case must fail, so that the list stays true.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blobCases } from "./blob-cases.ts";
import { listCases } from "./list-cases.ts";
import { manifestCases } from "./manifest-cases.ts";
import { referrerCases } from "./referrer-cases.ts";
import { type Call, type Cases, Speaker } from "./speaker.ts";
import { uploadCases } from "./upload-cases.ts";

const cases: Cases = {
  ...blobCases,
  ...uploadCases,
  ...manifestCases,
  ...listCases,
  ...referrerCases,
};

export interface RegistryUnderTest {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  close(): Promise<void>;
}

export function registryCases(
  open: () => Promise<RegistryUnderTest>,
  lacks: Readonly<Record<string, string>> = {},
): void {
  let opened: Promise<RegistryUnderTest> | undefined;
  const call: Call = async (path, init) => {
    opened ??= open();
    const { url } = await opened;
    return fetch(path.startsWith("http") ? path : `${url}${path}`, { redirect: "manual", ...init });
  };
  for (const unknown of Object.keys(lacks).filter((name) => !(name in cases))) {
    throw new Error(`no such case: ${unknown}`);
  }
  for (const [position, [name, run]] of Object.entries(cases).entries()) {
    // Each case has a repository of its own; nothing one leaves behind is seen by another.
    const speak = new Speaker(call, `suite/case${position}`);
    const reason = lacks[name];
    test(reason === undefined ? name : `${name} (known not to: ${reason})`, async () => {
      if (reason === undefined) return run(speak);
      await assert.rejects(() => run(speak), `this registry does it by now: take "${name}" off the list`);
    });
  }
  test("the registry of the suite ends", async () => (await opened)?.close());
}
