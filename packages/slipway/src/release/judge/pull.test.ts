import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageLayout } from "../../images/layout.ts";
import { encodeDocument, MEDIA } from "../../images/oci.ts";
import { createRegistryClient } from "../../images/registry/client.ts";
import { createImageSource } from "../../images/source.ts";
import { pullClass } from "./pull.ts";

/** Messages of containerd and Docker as kubelets hand them on. */
const rows: readonly (readonly [string, string | undefined])[] = [
  ['rpc error: code = Unknown desc = failed to resolve reference "r/web": 401 Unauthorized', "ImagePullAuth"],
  ["pull access denied for r/web, repository does not exist or may require 'docker login'", "ImagePullAuth"],
  ["failed to fetch oauth token: unexpected status: 503 Service Unavailable", undefined],
  ["unexpected status code [manifests v2]: 500 Internal Server Error", undefined],
  ["received unexpected HTTP status: 502 Bad Gateway", undefined],
  ["429 Too Many Requests - Server message: toomanyrequests: rate exceeded", "ImagePullRateLimited"],
  ["pull QPS exceeded", "ImagePullRateLimited"],
  ["x509: certificate signed by unknown authority", "ImagePullTLS"],
  ["http: server gave HTTP response to HTTPS client", "ImagePullTLS"],
  ["no match for platform in manifest: not found", "ImageArchitecture"],
  ["no matching manifest for linux/amd64 in the manifest list entries", "ImageArchitecture"],
  ["manifest unknown: manifest unknown", "ImageNotFound"],
  ["dial tcp: lookup registry.test: no such host", undefined],
  ["dial tcp 127.0.0.1:5000: connect: connection refused", undefined],
];

for (const [said, code] of rows) {
  test(`the node says ${JSON.stringify(said)}: ${code ?? "the network"}`, () => {
    assert.equal(pullClass(said), code);
  });
}

/** What a registry answers when asked for `none/NAME:1`, and what is wrong then. */
const answers: Readonly<Record<string, { status: number; body?: unknown; code: string | undefined }>> = {
  missing: { status: 404, code: "ImageNotFound" },
  forbidden: { status: 403, code: "ImagePullAuth" },
  elsewhere: {
    status: 200,
    body: {
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [
        {
          mediaType: MEDIA.manifest,
          digest: `sha256:${"a".repeat(64)}`,
          size: 2,
          platform: { os: "plan9", architecture: "mips" },
        },
      ],
    },
    code: "ImageArchitecture",
  },
};

let server: Server;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-pull-"));
  server = createServer((request, response) => {
    const answer = answers[request.url?.split("/")[3] ?? ""];
    const body = answer?.body === undefined ? "" : encodeDocument(answer.body);
    response.writeHead(answer?.status ?? 200, { "content-type": MEDIA.index }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

for (const [name, { status, code }] of Object.entries(answers)) {
  test(`a local cluster whose registry answers ${status} for an image that is ${name}: ${code}`, async () => {
    const { port } = server.address() as AddressInfo;
    const remote = createRegistryClient();
    const images = createImageSource({ layout: await ImageLayout.open(join(folder, name)), remote });
    const said = await images.resolve(`127.0.0.1:${port}/none/${name}:1`).then(
      () => "it is there",
      (error: Error) => error.message,
    );
    await remote.close();
    assert.equal(pullClass(said), code, said);
  });
}
