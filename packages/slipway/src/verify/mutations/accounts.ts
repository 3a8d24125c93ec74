/** Users and groups. */
import { GROUP, PASSWD } from "./bases.ts";
import { DEAD, type OfBase, UNSEEN } from "./mutation.ts";

export const ACCOUNTS: readonly OfBase[] = [
  {
    name: "the account is gone",
    damage: { put: [{ path: "etc/passwd", text: PASSWD.replace(/^app:.*\n/m, "") }] },
    untrue: [
      "non-root",
      "user exists",
      "user groups",
      "user locked",
      ...DEAD,
      "tool prints",
      "shell line",
      "id is app",
      "log ready",
    ],
    unprovable: ["data owner", "data writable by app", "conf readable by app", ...UNSEEN, "no nginx command"],
  },
  {
    name: "the account has another id",
    damage: { put: [{ path: "etc/passwd", text: PASSWD.replaceAll("1000", "1001") }] },
    untrue: ["user exists", "user groups", "data owner", "data writable by app", "id is app"],
  },
  {
    name: "the account is root",
    damage: { put: [{ path: "etc/passwd", text: PASSWD.replace("app:x:1000:1000", "app:x:0:0") }] },
    untrue: ["non-root", "user exists", "user groups", "data owner", "id is app"],
  },
  {
    name: "the account may not log in",
    damage: { put: [{ path: "etc/passwd", text: PASSWD.replace("/app:/bin/sh", "/app:/usr/sbin/nologin") }] },
    untrue: ["user exists"],
  },
  {
    name: "a second root",
    damage: { put: [{ path: "etc/passwd", text: `${PASSWD}toor:x:0:0::/:/bin/sh\n` }] },
    untrue: ["no second root"],
  },
  {
    name: "the account has a password",
    damage: { put: [{ path: "etc/shadow", text: "app:$6$salt$hash:19000:0:99999:7:::\n" }] },
    untrue: ["user locked"],
  },
  {
    name: "the account has an empty password",
    damage: { put: [{ path: "etc/passwd", text: PASSWD.replace("app:x:", "app::") }] },
    untrue: ["user locked"],
  },
  {
    name: "the group is gone",
    damage: { put: [{ path: "etc/group", text: GROUP.replace(/^staff:.*\n/m, "") }] },
    untrue: ["user groups", "group exists"],
    unprovable: ["state group"],
  },
  {
    name: "the group has no members",
    damage: { put: [{ path: "etc/group", text: GROUP.replace("staff:x:50:app", "staff:x:50:") }] },
    untrue: ["user groups", "group exists"],
  },
  {
    name: "a docker group",
    damage: { put: [{ path: "etc/group", text: `${GROUP}docker:x:999:app\n` }] },
    untrue: ["no docker group"],
  },
];
