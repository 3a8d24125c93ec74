/** What dpkg and npm say is installed. */
import { DPKG_STATUS } from "./bases.ts";
import type { OfBase } from "./mutation.ts";

export const PACKAGES: readonly OfBase[] = [
  {
    name: "nginx is removed",
    damage: {
      put: [
        { path: "var/lib/dpkg/status", text: DPKG_STATUS.replace(/Package: nginx-light[\s\S]*?\n\n/, "") },
      ],
      remove: ["var/lib/dpkg/info/nginx-light.list"],
    },
    untrue: ["nginx installed", "nginx version"],
  },
  {
    name: "nginx is half installed",
    damage: {
      put: [
        {
          path: "var/lib/dpkg/status",
          text: DPKG_STATUS.replace(
            "nginx-light\nStatus: install ok installed",
            "nginx-light\nStatus: install ok half-installed",
          ),
        },
      ],
    },
    untrue: ["nginx installed", "nginx version"],
  },
  {
    name: "nginx is old",
    damage: {
      put: [{ path: "var/lib/dpkg/status", text: DPKG_STATUS.replace("1.22.1-9+deb12u1", "1.18.0-6") }],
    },
    untrue: ["nginx version"],
  },
  {
    name: "nginx is a release candidate",
    damage: {
      put: [{ path: "var/lib/dpkg/status", text: DPKG_STATUS.replace("1.22.1-9+deb12u1", "1.22~rc1-1") }],
    },
    untrue: ["nginx version"],
  },
  {
    name: "telnet is installed",
    damage: {
      put: [
        {
          path: "var/lib/dpkg/status",
          text: DPKG_STATUS.replace("deinstall ok config-files", "install ok installed"),
        },
      ],
    },
    untrue: ["no telnet"],
  },
  {
    name: "dpkg's status is garbage",
    damage: { put: [{ path: "var/lib/dpkg/status", text: "\u0000\u0001 nothing of this\nis a status\n" }] },
    untrue: ["nginx installed", "nginx version"],
  },
  {
    name: "dpkg's status is cut",
    damage: { put: [{ path: "var/lib/dpkg/status", text: DPKG_STATUS.slice(0, 60) }] },
    untrue: ["nginx installed", "nginx version"],
  },
  {
    name: "dpkg's status is gone, telnet is there",
    damage: { remove: ["var/lib/dpkg"], put: [{ path: "usr/bin/telnet", text: "x", mode: 0o755 }] },
    untrue: ["nginx installed", "nginx version", "no telnet"],
  },
  {
    name: "dpkg's status is gone, telnet's list is there",
    damage: {
      remove: ["var/lib/dpkg/status"],
      put: [{ path: "var/lib/dpkg/info/telnet.list", text: "/usr/bin/telnet\n" }],
    },
    untrue: ["nginx installed", "nginx version", "no telnet"],
  },
  {
    name: "left-pad is another",
    damage: {
      put: [
        { path: "app/node_modules/left-pad/package.json", text: '{"name":"left-pad","version":"2.0.0"}' },
      ],
    },
    untrue: ["left-pad version"],
  },
  {
    name: "a second, older left-pad",
    damage: {
      put: [
        {
          path: "app/node_modules/x/node_modules/left-pad/package.json",
          text: '{"name":"left-pad","version":"1.0.0"}',
        },
      ],
    },
    untrue: ["left-pad version", "two json"],
  },
  {
    name: "lodash is there",
    damage: {
      put: [{ path: "app/node_modules/lodash/package.json", text: '{"name":"lodash","version":"4.17.21"}' }],
    },
    untrue: ["no lodash", "two json"],
  },
];
