import assert from "node:assert/strict";
import { test } from "node:test";
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
