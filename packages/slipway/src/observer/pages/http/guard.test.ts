import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalOf } from "./guard.ts";

const OWN = "localhost:7070";
type Headers = Readonly<Record<string, string | string[] | undefined>>;
const get = (headers: Headers): string | undefined =>
  refusalOf({ method: "GET", headers }, ["ops.example"])?.code;
const post = (headers: Headers): string | undefined =>
  refusalOf({ method: "POST", headers }, ["ops.example"])?.code;

test("Host must name this machine: an attacker's name that leads here is still the attacker's", () => {
  const cases: readonly [string | string[] | undefined, string | undefined][] = [
    ["localhost:7070", undefined],
    ["LOCALHOST:7070", undefined],
    ["localhost.:7070", undefined],
    ["localhost", undefined],
    ["127.0.0.1:7070", undefined],
    ["127.0.0.1:9", undefined], // a tunnel has another port
    ["[::1]:7070", undefined],
    ["10.1.2.3", undefined],
    ["ops.example:443", undefined],
    ["evil.example", "HOST_UNKNOWN"],
    ["localhost.evil.example:7070", "HOST_UNKNOWN"],
    ["127.0.0.1.evil.example", "HOST_UNKNOWN"],
    ["ops.example.evil", "HOST_UNKNOWN"],
    ["evil.example@localhost", "HOST_UNKNOWN"],
    ["localhost:7070/evil", "HOST_UNKNOWN"],
    ["localhost evil", "HOST_UNKNOWN"],
    ["[::1", "HOST_UNKNOWN"],
    ["[localhost]", "HOST_UNKNOWN"],
    ["", "HOST_UNKNOWN"],
    [undefined, "HOST_UNKNOWN"],
    [["localhost", "evil.example"], "HOST_UNKNOWN"],
  ];
  for (const [host, code] of cases) assert.equal(get({ host }), code, JSON.stringify(host));
});

test("a POST is of a page of ours: its origin is the very host that it asks", () => {
  const cases: readonly [string | string[] | undefined, string | undefined][] = [
    ["http://localhost:7070", undefined],
    ["https://localhost:7070", undefined],
    ["http://localhost:7071", "ORIGIN_FOREIGN"], // another program of this machine
    ["http://localhost", "ORIGIN_FOREIGN"],
    ["http://127.0.0.1:7070", "ORIGIN_FOREIGN"],
    ["http://evil.example", "ORIGIN_FOREIGN"],
    ["http://localhost:7070.evil.example", "ORIGIN_FOREIGN"],
    ["null", "ORIGIN_FOREIGN"],
    ["", "ORIGIN_FOREIGN"],
    [undefined, "ORIGIN_FOREIGN"],
    [["http://localhost:7070", "http://localhost:7070"], "ORIGIN_FOREIGN"],
  ];
  for (const [origin, code] of cases) assert.equal(post({ host: OWN, origin }), code, JSON.stringify(origin));
});

test("a read that another page makes is refused, a link to a page is followed", () => {
  const cases: readonly [Headers, string | undefined][] = [
    [{}, undefined], // curl, and old browsers
    [{ "sec-fetch-site": "same-origin" }, undefined],
    [{ "sec-fetch-site": "none" }, undefined],
    [{ "sec-fetch-site": "same-site" }, "ORIGIN_FOREIGN"],
    [{ "sec-fetch-site": "cross-site" }, "ORIGIN_FOREIGN"],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, undefined],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" }, "ORIGIN_FOREIGN"],
    [{ origin: "http://evil.example" }, "ORIGIN_FOREIGN"],
    [{ origin: `http://${OWN}` }, undefined],
  ];
  for (const [headers, code] of cases)
    assert.equal(get({ host: OWN, ...headers }), code, JSON.stringify(headers));
  const navigation = {
    host: OWN,
    origin: `http://${OWN}`,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
  };
  assert.equal(post(navigation), "ORIGIN_FOREIGN", "a form of another page");
});

test("other methods are refused", () => {
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "", "get"]) {
    assert.equal(refusalOf({ method, headers: { host: OWN } }, [])?.status, 405, method);
  }
});
