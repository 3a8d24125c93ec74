import assert from "node:assert/strict";
import { test } from "node:test";
import type { Incident } from "../../server/api.ts";
import { renderAlerts } from "./render.ts";

const now = 1_000_000_000;
const incident: Incident = {
  id: "3fe91c",
  rule: "availability",
  state: "firing",
  severity: "page",
  service: "web",
  cluster: "",
  release: 12,
  title: "web: 98 % of requests fail (5xx)",
  facts: [
    { name: "5xx", value: "588 of 600 requests in 5 min" },
    { name: "example", value: "GET /pay → 502 in 31 ms" },
  ],
  openedAt: now - 240_000,
  changedAt: now - 240_000,
  resolvedAt: undefined,
  mutedUntil: undefined,
  rollbackTo: 11,
};

test("what is open in full, the rest in lines", () => {
  const text = renderAlerts(
    {
      open: [incident],
      muted: [{ ...incident, id: "aaaaaa", state: "muted", mutedUntil: now + 7_200_000 }],
      history: [{ ...incident, id: "bbbbbb", state: "resolved", severity: "info", resolvedAt: now }],
      rules: [
        { name: "availability", text: "99.9 % of requests without a 5xx", state: "firing" },
        { name: "silence", text: "no request for 10 min", state: "ok" },
      ],
    },
    now,
  );
  assert.equal(
    text,
    `page  web: 98 % of requests fail (5xx)  (3fe91c, for 4m)
  release: 12
  5xx: 588 of 600 requests in 5 min
  example: GET /pay → 502 in 31 ms
  go back: slipway rollback 11

muted:
  aaaaaa  page  for 120m more  web: 98 % of requests fail (5xx)

over:
  bbbbbb  info  4m ago  web: 98 % of requests fail (5xx)

rules:
  availability  firing  99.9 % of requests without a 5xx
  silence       ok      no request for 10 min
`,
  );
});

test("nothing at all", () => {
  const none = { open: [], muted: [], history: [], rules: [] };
  assert.equal(renderAlerts(none, now), "nothing is wrong\n");
  assert.equal(
    renderAlerts(none, now, ["tokyo", "osaka"]),
    "not known whether something is wrong: tokyo, osaka could not be asked\n",
  );
});
