import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ensureCertificates } from "./certificate.ts";

const now = Date.UTC(2026, 10, 22);

test("the server certificate is signed by the authority and names the loopback addresses", async () => {
  const made = await ensureCertificates({ name: "tokyo", now });
  const ca = new X509Certificate(made.ca);
  const server = new X509Certificate(made.certificate);
  assert.equal(ca.ca, true);
  assert.equal(server.ca, false);
  assert.equal(server.checkIssued(ca), true);
  assert.equal(server.verify(ca.publicKey), true);
  assert.equal(ca.verify(ca.publicKey), true);
  assert.equal(server.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(server.checkHost("localhost"), "localhost");
  assert.equal(server.checkHost("kubernetes.default.svc"), "kubernetes.default.svc");
  assert.equal(server.checkHost("example.com"), undefined);
  assert.equal(ca.subject, "CN=slipway tokyo");
  assert.equal(ca.validToDate.getTime() > now + 3600 * 86_400_000, true);
});

test("a client that trusts only the authority can talk to the server", async () => {
  const made = await ensureCertificates({ name: "tokyo", now: Date.now() });
  const server = createServer({ key: made.key, cert: made.certificate }, (_request, response) =>
    response.end("hello"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request({ host: "127.0.0.1", port, ca: made.ca, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  assert.equal(status, 200);
  await new Promise((resolve) => server.close(resolve));
});

test("certificates survive a restart, and damaged or ageing ones are made anew", async () => {
  const directory = await mkdtemp(join(tmpdir(), "slipway-pki-"));
  try {
    const first = await ensureCertificates({ name: "tokyo", directory, now });
    assert.deepEqual(await ensureCertificates({ name: "tokyo", directory, now: now + 1000 }), first);

    await writeFile(join(directory, "pki/server.crt"), "cut off");
    const second = await ensureCertificates({ name: "tokyo", directory, now });
    assert.equal(second.ca, first.ca, "the authority is kept, so old kubeconfigs stay good");
    assert.notEqual(second.certificate, first.certificate);

    const later = await ensureCertificates({ name: "tokyo", directory, now: now + 3640 * 86_400_000 });
    assert.notEqual(later.ca, first.ca);
  } finally {
    await rm(directory, { recursive: true });
  }
});
