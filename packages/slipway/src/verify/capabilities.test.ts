import assert from "node:assert/strict";
import { test } from "node:test";
import { asCapabilities, capabilitiesOf } from "./capabilities.ts";

/** What `setcap` writes, read back with `getfattr -e hex -n security.capability`. */
const table: readonly (readonly [hex: string, text: string])[] = [
  ["0100000200200000000000000000000000000000", "cap_net_raw=ep"],
  ["0000000200200000000000000000000000000000", "cap_net_raw=p"],
  ["0100000200240000000000000000000000000000", "cap_net_bind_service,cap_net_raw=ep"],
  ["0100000200200000002000000000000000000000", "cap_net_raw=eip"],
  ["0000000200200000010000000000000000000000", "cap_chown=i cap_net_raw=p"],
  ["0100000200000000000000008000000000000000", "cap_bpf=ep"],
  ["0100000200000000000000000000000000000080", "cap_63=ei"],
  ["010000030020000000000000000000000000000000000100", "cap_net_raw=ep"],
  ["010000010020000000000000", "cap_net_raw=ep"],
  ["0000000200000000000000000000000000000000", ""],
  ["01000002", "damaged (01000002)"],
  ["0100000900200000000000000000000000000000", "damaged (0100000900200000000000000000000000000000)"],
  ["", "damaged ()"],
];

test("the attribute is read as getcap writes it, and damage is never nothing", () => {
  for (const [hex, text] of table) {
    const value = Buffer.from(hex, "hex").toString("latin1");
    assert.equal(capabilitiesOf({ "security.capability": value }), text, hex);
  }
  assert.equal(capabilitiesOf({ "user.note": "x" }), "");
  assert.equal(capabilitiesOf(undefined), "");
});

test("only what it may say can be expected", () => {
  for (const [, text] of table.slice(0, 9)) assert.equal(asCapabilities(text), text);
  assert.equal(asCapabilities("cap_chown=i cap_net_raw+p"), "cap_chown=i cap_net_raw=p");
  for (const text of ["", "cap_net_raw", "net_raw=ep", "cap_net_raw=pe", 1, undefined])
    assert.equal(asCapabilities(text), undefined, String(text));
});
