import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Dictionary } from "./dictionary.ts";
import { RouteTable, routeOf } from "./route.ts";

const routes: readonly (readonly [string, string])[] = [
  ["/", "/"],
  ["/recipes", "/recipes"],
  ["/recipes/42", "/recipes/:id"],
  ["/recipes/42/", "/recipes/:id/"],
  ["/api/v2/users", "/api/v2/users"],
  ["/users/3f2a1b9c-7f3a-4c1d-9b2e-0123456789ab/favourites", "/users/:uuid/favourites"],
  ["/commits/3f2a1b9c7f3a4c1d9b2e0123456789abcdef0123", "/commits/:hex"],
  ["/files/aGVsbG8gd29ybGQhIQ9x", "/files/:token"],
  ["/files/aGVsbG8=", "/files/:token"],
  ["/recipes/pasta-with-tomatoes-and-basil", "/recipes/:slug"],
  ["/recipes/pasta-12345", "/recipes/:slug"],
  ["/how-it-works", "/how-it-works"],
  ["/static/app.3f2a1b9c.js", "/static/:hash.js"],
  ["/static/jquery-3.7.1.min.js", "/static/jquery-3.7.1.min.js"],
  ["/robots.txt", "/robots.txt"],
  ["/%D0%BF%D0%B8%D1%80%D0%BE%D0%B3", "/:text"],
  ["/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/…"],
  ["//double", "//double"],
  ["http://example.com/recipes/7", "/recipes/:id"],
  ["http://example.com", "/"],
  ["example.com:443", "-"],
  ["\\x16\\x03\\x01", "-"],
  ["*", "*"],
  ["", "-"],
];

for (const [path, route] of routes) test(`${path} → ${route}`, () => assert.equal(routeOf(path), route));

const viewOf = (text: string): DataView => new DataView(new TextEncoder().encode(text).buffer);

test("the table finds the same routes, by hash as well as at first", () => {
  const dictionary = new Dictionary("route", 100);
  const table = new RouteTable(dictionary);
  const seen = new Map<number, string>();
  for (let turn = 0; turn < 2; turn += 1) {
    for (const [path, route] of routes) {
      const text = `GET ${path}?x=/1 HTTP/1.1`;
      const id = table.idOf(viewOf(text), 4, 4 + path.length + 5, 200);
      assert.equal(table.pathEnd, 4 + path.length, path);
      assert.equal(table.idOfText(`${path}?x=/1`, 200), id);
      assert.equal(seen.get(id) ?? route, route);
      seen.set(id, route);
    }
  }
  const saved = new Map(dictionary.takeUnsaved().map(({ id, value }) => [id, value]));
  for (const [id, route] of seen) assert.equal(saved.get(id), route);
});

test("routes are capped for each service, and paths that do not exist teach none", () => {
  const dictionary = new Dictionary("route", 100);
  const table = new RouteTable(dictionary, 3);
  const idOf = (path: string, status: number): number => table.idOfText(path, status);
  assert.equal(idOf("/wp-login.php", 404), 0);
  const first = idOf("/a", 200);
  assert.notEqual(first, 0);
  assert.notEqual(idOf("/b", 500), 0);
  assert.notEqual(idOf("/c", 302), 0);
  assert.equal(idOf("/d", 200), 0);
  assert.equal(idOf("/a", 404), first);
});

/** What `routeOf` says of a segment of ASCII without a dot, said with patterns. */
function plainRouteOf(text: string): string {
  const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  const [digits, dashes] = [count(/[0-9]/g), count(/[-_]/g)];
  if (/^[a-z]{0,40}$/.test(text)) return text;
  if (digits === text.length) return ":id";
  if (/[^A-Za-z0-9_+=-]/.test(text)) return ":text";
  if (/^[0-9a-f_-]+$/i.test(text) && digits > 0) {
    if (text.length === 36 && dashes === 4) return ":uuid";
    if (dashes === 0 && text.length >= 8) return ":hex";
  }
  const isMixed = /[a-z]/.test(text) && /[A-Z]/.test(text);
  if (text.length >= 16 && ((isMixed && digits > 0) || (digits >= 4 && dashes === 0))) return ":token";
  if (/[+=]/.test(text) && text.length >= 8) return ":token";
  if (dashes >= 3 || (dashes > 0 && digits >= 3) || text.length > 40) return ":slug";
  return digits >= 4 ? ":id" : text;
}

test("four letters at a time are what letters one by one are", () => {
  const runs = fc.oneof(
    fc.string({ unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz"), maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(..."abcdef0123456789"), maxLength: 12 }),
    fc.constantFrom("`", "{", "@", "[", "Z", "A", "F", "G", "0", "9", "-", "_", "+", "=", "!", "~"),
  );
  const segment = fc.array(runs, { maxLength: 5 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(segment, segment, (one, other) => {
      assert.equal(routeOf(`/${one}/${other}`), `/${plainRouteOf(one)}/${plainRouteOf(other)}`);
    }),
    { numRuns: 3000 },
  );
});
