import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxyFor } from "./proxy.ts";

const server = "https://api.tokyo.example.com:6443";
const proxy = "http://proxy:3128";

describe("the proxy to a cluster", () => {
  type Row = readonly [
    what: string,
    server: string,
    configured: string | undefined,
    env: Record<string, string>,
    expected: string | undefined,
  ];
  const noProxy = (rules: string): Record<string, string> => ({ HTTPS_PROXY: proxy, NO_PROXY: rules });
  const rows: readonly Row[] = [
    ["none", server, undefined, {}, undefined],
    ["of the kubeconfig, whatever NO_PROXY says", server, "http://its:1", noProxy("*"), "http://its:1"],
    ["of the environment", server, undefined, { HTTPS_PROXY: proxy }, proxy],
    ["in small letters", server, undefined, { https_proxy: proxy }, proxy],
    ["without a scheme", server, undefined, { HTTPS_PROXY: "proxy:3128" }, proxy],
    ["for the other protocol", server, undefined, { HTTP_PROXY: proxy }, undefined],
    ["for http", "http://api.example.com", undefined, { HTTP_PROXY: proxy }, proxy],
    ["to this machine", "https://127.0.0.1:6443", undefined, { HTTPS_PROXY: proxy }, undefined],
    ["to localhost", "https://localhost:6443", undefined, { HTTPS_PROXY: proxy }, undefined],
    ["but for everything", server, undefined, noProxy("*"), undefined],
    ["but for a domain and what is below", server, undefined, noProxy("other, example.com"), undefined],
    ["but for what is below a domain", server, undefined, noProxy(".example.com"), undefined],
    ["but for what is below a domain, with a star", server, undefined, noProxy("*.example.com"), undefined],
    ["but for a domain that only ends alike", server, undefined, noProxy("ple.com"), proxy],
    ["but for another port", server, undefined, noProxy("example.com:443"), proxy],
    ["but for this port", server, undefined, noProxy("example.com:6443"), undefined],
    ["but for its address", "https://10.1.2.3", undefined, noProxy("10.1.2.3"), undefined],
    ["but for its network", "https://10.1.2.3", undefined, noProxy("10.0.0.0/8"), undefined],
    ["but for another network", "https://10.1.2.3", undefined, noProxy("192.168.0.0/16"), proxy],
    ["but for a network of IPv6", "https://[fd00::1]", undefined, noProxy("fd00::/8"), undefined],
    ["but for a network that is none", "https://10.1.2.3", undefined, noProxy("10.0.0.0/99"), proxy],
  ];
  for (const [what, to, configured, env, expected] of rows) {
    it(what, () => assert.equal(proxyFor(to, configured, env), expected));
  }
});
