/**
 * Every path that `server/api.ts` names, asked of the real server in every wrong way. The paths are read from its comment,
 * so one that is added there is asked here.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import fc from "fast-check";
import { apiClient, contextOf } from "../../release/testing.ts";
import { type Pages, startPages } from "./pages.ts";
import { type Answer, ask, type Reader, signIn } from "./testing.ts";

const TOKEN = "an-open-secret-of-this-test";

let pages: Pages;
let reader: Reader;
let rolledBack = 0;
const logged: string[] = [];
before(async () => {
  const client = apiClient();
  pages = await startPages({
    release: contextOf([{ name: "tokyo", client }], { clock: systemClock }),
    place: "world",
    rows: () => ({ sources: [], nothing: "nothing is collected" }),
    rollBack: async () => {
      rolledBack += 1;
      return "";
    },
    token: TOKEN,
    host: "127.0.0.1",
    port: 0,
    assets: "/nowhere",
    log: (line) => logged.push(line),
  });
  reader = await signIn(pages.port, TOKEN);
});
after(() => pages.close());

interface Path {
  readonly method: string;
  readonly path: string;
}

const source = readFileSync(new URL("../../server/api.ts", import.meta.url), "utf8");
const paths: readonly Path[] = [...source.matchAll(/^ \* {3}(GET|POST) +(\/api\/[\w/]+)/gm)].map(
  ([, method = "", path = ""]) => ({ method, path: path.replace("NUMBER", "1") }),
);
const isSession = ({ path }: Path): boolean => path === "/api/session";
const guarded = paths.filter((one) => !isSession(one));
const posts = guarded.filter(({ method }) => method === "POST");

const own = (): Record<string, string> => ({
  origin: `http://127.0.0.1:${pages.port}`,
  "content-type": "application/json",
  cookie: reader.cookie,
  "x-slipway-csrf": reader.csrf,
});
const codeOf = ({ body }: Answer): string | undefined =>
  (body as { error?: { code?: string } } | undefined)?.error?.code;

async function askEach(
  which: readonly Path[],
  headers: () => Readonly<Record<string, string>>,
  expected: readonly [number, string],
  body: unknown = {},
): Promise<void> {
  assert.ok(which.length > 3);
  for (const { method, path } of which) {
    const answer = await ask(pages.port, {
      method,
      path,
      headers: headers(),
      ...(method === "POST" ? { body: JSON.stringify(body) } : {}),
    });
    assert.deepEqual([answer.status, codeOf(answer)], expected, `${method} ${path}`);
    assert.match(String(answer.headers["content-security-policy"]), /default-src 'none'/, path);
    assert.equal(answer.headers["access-control-allow-origin"], undefined, path);
    assert.equal(answer.headers["cache-control"], "no-store", path);
  }
}

function without(name: string): () => Readonly<Record<string, string>> {
  return () => Object.fromEntries(Object.entries(own()).filter(([header]) => header !== name));
}

test("the cookie is no script's, no other site's, and behind TLS no plain connection's", async () => {
  for (const scheme of ["http", "https"]) {
    const headers = { ...own(), origin: `${scheme}://127.0.0.1:${pages.port}` };
    const body = JSON.stringify({ token: TOKEN });
    const answer = await ask(pages.port, { method: "POST", path: "/api/session", headers, body });
    const [cookie = ""] = answer.headers["set-cookie"] ?? [];
    assert.match(cookie, /; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200/);
    assert.equal(cookie.endsWith("; Secure"), scheme === "https");
    assert.ok(!answer.text.includes(cookie.split(";")[0] as string));
  }
});

test("the comment names all of them", () => {
  assert.ok(paths.length >= 17, JSON.stringify(paths));
  assert.ok(posts.length >= 4, JSON.stringify(posts));
});

test("none without a session, with a forged one, or with the token in its place", async () => {
  const missing = [401, "SESSION_MISSING"] as const;
  await askEach(guarded, without("cookie"), missing);
  const [name = "", value = ""] = reader.cookie.split("=");
  for (const cookie of [
    `${name}=${value.slice(0, -1)}${value.endsWith("A") ? "B" : "A"}`,
    `${name}=${TOKEN}`,
    `${name}=`,
    `${reader.cookie}; ${reader.cookie}`,
    `slipway-session-1=${value}`,
  ]) {
    await askEach(guarded, () => ({ ...own(), cookie }), missing);
  }
  await askEach(guarded, () => ({ ...without("cookie")(), authorization: `Bearer ${TOKEN}` }), missing);
});

test("none under a name that is not ours, none for a page that is not ours", async () => {
  await askEach(paths, () => ({ ...own(), host: "evil.example" }), [421, "HOST_UNKNOWN"]);
  await askEach(paths, () => ({ ...own(), origin: "http://evil.example" }), [403, "ORIGIN_FOREIGN"]);
  await askEach(paths, () => ({ ...own(), "sec-fetch-site": "same-site" }), [403, "ORIGIN_FOREIGN"]);
  await askEach(posts, without("origin"), [403, "ORIGIN_FOREIGN"]);
});

test("no POST without the CSRF value of this very session", async () => {
  const other = await signIn(pages.port, TOKEN);
  const wrong = [403, "CSRF_WRONG"] as const;
  await askEach(posts, without("x-slipway-csrf"), wrong);
  await askEach(posts, () => ({ ...own(), "x-slipway-csrf": other.csrf }), wrong);
  await askEach(posts, () => ({ ...own(), "x-slipway-csrf": TOKEN }), wrong);
});

test("nothing is changed without the token once more", async () => {
  const before = rolledBack;
  for (const confirm of [undefined, "", "wrong", null, 7, [TOKEN], { token: TOKEN }, reader.csrf]) {
    for (const path of ["/api/rollback", "/api/alerts/mute", "/api/queries/save"]) {
      const answer = await reader.post(path, { release: 2, to: 1, confirm });
      // Ten wrong ones are too many; then the right one would not be taken either.
      assert.ok([403, 429].includes(answer.status), answer.text);
      assert.match(codeOf(answer) ?? "", /^(?:CONFIRM_WRONG|TOKEN_LIMITED)$/);
    }
  }
  assert.equal(rolledBack, before);
});

test("a path is asked in its own way alone", async () => {
  for (const { method, path } of guarded) {
    const both = guarded.filter((one) => one.path === path).length > 1;
    if (both || path === "/api/session/end") continue;
    const answer = await ask(pages.port, {
      method: method === "GET" ? "POST" : "GET",
      path,
      headers: own(),
      ...(method === "GET" ? { body: "{}" } : {}),
    });
    assert.equal(answer.status, 405, `${path}: ${answer.text}`);
  }
});

test("bodies that are no JSON object, or too long, are refused", async () => {
  const bodies = [
    "",
    "null",
    "[]",
    '"text"',
    "7",
    "{",
    `{"a":"${"x".repeat(300_000)}"}`,
    "\u0000",
    "a=1&b=2",
  ];
  for (const body of bodies) {
    const answer = await ask(pages.port, { method: "POST", path: "/api/queries/run", headers: own(), body });
    assert.equal(answer.status, 400, body.slice(0, 20));
    assert.equal(codeOf(answer), "REQUEST_INVALID");
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
    const headers = { ...own(), "content-type": type };
    const answer = await ask(pages.port, { method: "POST", path: "/api/queries/run", headers, body: "{}" });
    assert.equal(answer.status, 400, type);
  }
});

test("parameters that make no sense are told with their name", async () => {
  const cases: readonly [string, string][] = [
    ["/api/series?from=x", "from"],
    ["/api/series?from=5&to=4", "from"],
    ["/api/series?step=0", "step"],
    ["/api/series?step=-1", "step"],
    ["/api/series?step=1e9999", "step"],
    ["/api/series?from=0&to=9000000000000&step=1", "step"],
    ["/api/series?to=1e300", "to"],
    ["/api/logs?limit=5001", "limit"],
    ["/api/logs?limit=1.5", "limit"],
    ["/api/logs?kind=all", "kind"],
    ["/api/logs?class=6xx", "class"],
    ["/api/logs?release=-1", "release"],
    [`/api/logs?grep=${"x".repeat(1001)}`, "grep"],
    ["/api/compare?a=1", "b"],
    ["/api/compare?a=x&b=2", "a"],
    ["/api/releases/0x1g", "release"],
  ];
  for (const [path, where] of cases) {
    const answer = await ask(pages.port, { path, headers: { cookie: reader.cookie } });
    assert.equal(answer.status, 400, `${path}: ${answer.text}`);
    assert.equal((answer.body as { error: { where: string } }).error.where, where, path);
  }
});

test("whatever the path, the server answers, and with no file of this machine", async () => {
  const hostile = [
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..%2f..%2fetc/passwd",
    "//etc/passwd",
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.constantFrom(...hostile),
        fc.webPath().map((path) => `/${path}`),
        fc.webPath().map((path) => `/api/${path}`),
      ),
      async (path) => {
        const answer = await ask(pages.port, { path, headers: { cookie: reader.cookie } });
        assert.ok([200, 400, 404, 405, 503].includes(answer.status), `${path}: ${answer.status}`);
        assert.ok(!answer.text.includes("root:"));
      },
    ),
    { numRuns: 200 },
  );
});

test("what is not HTTP ends its own connection and nothing else", async () => {
  for (const bytes of [
    "\u0016\u0003\u0001",
    "GET",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(pages.port, "127.0.0.1", () => socket.end(bytes));
      socket.on("error", () => resolve());
      socket.on("close", () => resolve());
      socket.resume();
    });
  }
  assert.equal((await ask(pages.port, { path: "/api/now", headers: { cookie: reader.cookie } })).status, 200);
});

test("wrong tokens are counted, and no token is ever logged", async () => {
  const wrong = (token: unknown): Promise<Answer> =>
    ask(pages.port, {
      method: "POST",
      path: "/api/session?token=in-the-path",
      headers: own(),
      body: JSON.stringify({ token }),
    });
  for (let time = 0; time < 12; time += 1) await wrong("a-wrong-token-of-some-length");
  const limited = await wrong(TOKEN);
  assert.equal(limited.status, 429);
  assert.ok(Number(limited.headers["retry-after"]) > 0);
  const text = logged.join("\n");
  assert.ok(logged.length > 0);
  for (const secret of [TOKEN, "a-wrong-token-of-some-length", "in-the-path", reader.csrf, reader.cookie])
    assert.ok(!text.includes(secret));
});
