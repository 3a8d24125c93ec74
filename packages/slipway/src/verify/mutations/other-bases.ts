/** Images without a shell, of Alpine, and of a distribution with RPM. */
import { rpmDatabase, testdata } from "./bases.ts";
import type { Damage } from "./build.ts";
import type { OfBase } from "./mutation.ts";

export const BARE: readonly OfBase[] = [
  { name: "a shell", damage: { put: [{ path: "bin/sh", text: "x", mode: 0o755 }] }, untrue: ["no shell"] },
  {
    name: "busybox",
    damage: { put: [{ path: "usr/local/bin/busybox", text: "x", mode: 0o755 }] },
    untrue: ["no shell"],
  },
  {
    name: "bash",
    damage: {
      put: [
        { path: "bin/bash", text: "x", mode: 0o755 },
        { path: "var/lib/dpkg/status.d/bash", text: "Package: bash\nVersion: 5.2-1\n" },
      ],
    },
    untrue: ["no shell", "no bash"],
  },
  {
    name: "libssl is old",
    damage: {
      put: [{ path: "var/lib/dpkg/status.d/libssl3", text: "Package: libssl3\nVersion: 3.0.11-1~deb12u2\n" }],
    },
    untrue: ["libssl version"],
  },
  {
    name: "the records are gone",
    damage: { remove: ["var/lib/dpkg"] },
    untrue: ["libssl version", "base-files installed"],
    unprovable: ["no bash"],
  },
  {
    name: "the certificate ends soon",
    damage: { put: [{ path: "etc/ssl/shop.pem", text: testdata("ended.pem") }] },
    untrue: ["certificate valid"],
  },
  {
    name: "the certificate is another's",
    damage: { put: [{ path: "etc/ssl/shop.pem", text: testdata("other.pem") }] },
    untrue: ["certificate names", "certificate subject", "certificate key"],
  },
  {
    name: "the certificate is none",
    damage: { put: [{ path: "etc/ssl/shop.pem", text: "hello" }] },
    untrue: ["certificate valid", "certificate names", "certificate subject", "certificate key"],
  },
  {
    name: "the key is another's",
    damage: { put: [{ path: "etc/ssl/shop.key", text: testdata("other.key"), mode: 0o600 }] },
    untrue: ["certificate key"],
  },
  {
    name: "everybody may read the key",
    damage: { put: [{ path: "etc/ssl/shop.key", text: testdata("shop.key"), mode: 0o644 }] },
    untrue: ["key mode"],
  },
  {
    name: "the server is a folder",
    damage: { remove: ["server"], put: [{ path: "server" }] },
    untrue: ["command exists"],
  },
  {
    name: "an admin",
    damage: { put: [{ path: "etc/passwd", text: "admin:x:5:5::/:/bin/sh\n" }] },
    untrue: ["no users"],
  },
];

export const ALPINE: readonly OfBase[] = [
  {
    name: "nginx is old",
    damage: { put: [{ path: "lib/apk/db/installed", text: "P:musl\nV:1.2.4-r2\n\nP:nginx\nV:1.24.0-r9\n" }] },
    untrue: ["nginx version"],
  },
  {
    name: "curl is installed",
    damage: {
      put: [
        {
          path: "lib/apk/db/installed",
          text: "P:musl\nV:1.2.4-r2\n\nP:nginx\nV:1.24.0-r15\n\nP:curl\nV:8.5.0-r0\n",
        },
      ],
    },
    untrue: ["no curl"],
  },
  {
    name: "the database is gone, curl is there",
    damage: { remove: ["lib/apk/db/installed"], put: [{ path: "usr/bin/curl", text: "x", mode: 0o755 }] },
    untrue: ["nginx version", "musl installed", "no curl"],
  },
  {
    name: "the database is garbage",
    damage: { put: [{ path: "lib/apk/db/installed", text: "<html>not found</html>" }] },
    untrue: ["nginx version", "musl installed"],
    unprovable: ["no curl"],
  },
];

export const RPM: readonly OfBase[] = [
  {
    name: "nginx has no epoch",
    damage: rpm(
      { name: "glibc", version: "2.34", release: "60.el9" },
      { name: "nginx", version: "1.20.1", release: "14.el9" },
    ),
    untrue: ["nginx version"],
  },
  {
    name: "curl is installed",
    damage: rpm(
      { name: "glibc", version: "2.34", release: "60.el9" },
      { name: "nginx", version: "1.20.1", release: "14.el9", epoch: 2 },
      { name: "curl", version: "7.76.1", release: "26.el9" },
    ),
    untrue: ["no curl"],
  },
  {
    name: "the database is no database",
    damage: { put: [{ path: "usr/lib/sysimage/rpm/rpmdb.sqlite", text: "SQLite format 3\u0000 or so" }] },
    untrue: ["nginx version", "glibc installed"],
    unprovable: ["no curl"],
  },
  {
    name: "the database is empty",
    damage: rpm(),
    untrue: ["nginx version", "glibc installed"],
    unprovable: ["no curl"],
  },
];

function rpm(...packages: Parameters<typeof rpmDatabase>[0]): Damage {
  return { put: [{ path: "usr/lib/sysimage/rpm/rpmdb.sqlite", text: rpmDatabase(packages) }] };
}
