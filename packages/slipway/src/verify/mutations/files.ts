/** Files that are gone, or other than they should be. */
import { SERVER_CONF, testdata } from "./bases.ts";
import { conf, DEAD, env, type OfBase, UNSEEN } from "./mutation.ts";

export const FILES: readonly OfBase[] = [
  {
    name: "the configuration is gone",
    damage: { remove: ["app/server.conf"] },
    untrue: [
      "conf exists",
      "conf is a file",
      "conf mode",
      "conf owner",
      "conf readable by app",
      "conf has backend",
      "conf lacks debug",
      "conf lacks include",
      "conf section",
      "conf sha",
      "conf size",
      "current resolves",
    ],
  },
  {
    name: "the configuration is a folder",
    damage: { remove: ["app/server.conf"], put: [{ path: "app/server.conf" }] },
    untrue: [
      "conf is a file",
      "conf mode",
      "conf has backend",
      "conf lacks debug",
      "conf lacks include",
      "conf section",
      "conf sha",
    ],
  },
  {
    name: "the configuration is empty",
    damage: conf(""),
    untrue: ["conf has backend", "conf section", "conf sha"],
  },
  {
    name: "the configuration names another backend",
    damage: conf(SERVER_CONF.replace("backend1", "backend9")),
    untrue: ["conf has backend", "conf sha"],
  },
  {
    name: "the configuration has debug",
    damage: conf(`${SERVER_CONF}debug on;\n`),
    untrue: ["conf lacks debug", "conf sha"],
  },
  {
    name: "the configuration includes others at its end",
    damage: conf(`${SERVER_CONF}include /tmp/*.conf;\n`),
    untrue: ["conf lacks include", "conf sha"],
  },
  {
    name: "the proxy is outside of its section",
    damage: conf("proxy_pass http://backend1;\nlocation /be1/ {\n}\n"),
    untrue: ["conf section", "conf sha"],
  },
  {
    name: "the configuration is long",
    damage: conf(SERVER_CONF + "#".repeat(300)),
    untrue: ["conf size", "conf sha"],
  },
  {
    name: "the configuration is secret",
    damage: { put: [{ path: "app/server.conf", text: SERVER_CONF, mode: 0o600 }] },
    untrue: ["conf mode", "conf readable by app"],
  },
  {
    name: "only root may enter the folder of the configuration",
    damage: { put: [{ path: "app", mode: 0o700 }] },
    untrue: ["conf readable by app", "data writable by app", ...DEAD, "log ready", "tool prints"],
    unprovable: UNSEEN,
  },
  {
    name: "the configuration belongs to app",
    damage: { put: [{ path: "app/server.conf", text: SERVER_CONF, uid: 1000, gid: 1000 }] },
    untrue: ["conf owner"],
  },
  {
    name: "everybody may write the configuration",
    damage: { put: [{ path: "app/server.conf", text: SERVER_CONF, mode: 0o666 }] },
    untrue: ["conf mode", "not writable by others"],
  },
  {
    name: "an .env file",
    damage: { put: [{ path: "app/.env", text: "PORT=1\n" }] },
    untrue: ["no env file"],
  },
  {
    name: "an .env that leads nowhere",
    damage: { put: [{ path: "app/.env", link: "/nowhere" }] },
    untrue: ["no env file"],
  },
  {
    name: "a secret in an .env file",
    damage: { put: [{ path: "app/.env", text: "API_TOKEN=abcdef123456\n" }] },
    untrue: ["no env file", "no secret in files"],
  },
  {
    name: "a key that a later layer deletes",
    damage: {
      put: [{ path: "root/id_ed25519", text: testdata("shop.key") }],
      above: { remove: ["root/id_ed25519"] },
    },
    untrue: ["no secret in files"],
  },
  {
    name: "a key",
    damage: { put: [{ path: "root/.ssh/id_rsa", text: testdata("shop.key"), mode: 0o600 }] },
    untrue: ["no secret in files", "no keys", "no keys, written with dots and slashes"],
  },
  {
    name: "an .npmrc with a token",
    damage: { put: [{ path: "app/.npmrc", text: "//registry.example/:_authToken=abcdef123456\n" }] },
    untrue: ["no secret in files", "no keys"],
  },
  {
    name: "a token in a configuration of JSON",
    damage: { put: [{ path: "app/config.json", text: `{"registry":{"auth":"npm_${"a1B2".repeat(9)}"}}\n` }] },
    untrue: ["no secret in files"],
  },
  {
    name: "an npm token in the history",
    damage: { history: [`RUN echo "//registry.example/:_authToken=npm_${"a1B2".repeat(9)}" > .npmrc`] },
    untrue: ["no secret in env"],
  },
  {
    name: "a password under a short name in ENV",
    damage: { config: { Env: env("DB_PASS=hunter22") } },
    untrue: ["no secret in env"],
  },
  { name: "a .git folder", damage: { put: [{ path: "app/.git" }] }, untrue: ["no keys"] },
  {
    name: "the data folder is gone",
    damage: { remove: ["app/data"] },
    untrue: ["data is a folder", "data mode", "data owner", "data writable by app", "state group"],
  },
  {
    name: "the data folder belongs to root",
    damage: { put: [{ path: "app/data", mode: 0o750 }] },
    untrue: ["data owner", "data writable by app"],
  },
  {
    name: "the data folder cannot be written",
    damage: { put: [{ path: "app/data", mode: 0o550, uid: 1000, gid: 1000 }] },
    untrue: ["data mode", "data writable by app"],
  },
  {
    name: "the state has another group",
    damage: {
      put: [
        { path: "app/data", mode: 0o750, uid: 1000, gid: 1000 },
        { path: "app/data/state", text: "state\n", mode: 0o640, uid: 1000, gid: 1000 },
      ],
    },
    untrue: ["state group"],
  },
  {
    name: "the link leads elsewhere",
    damage: { put: [{ path: "app/current", link: "/app/settings.yaml" }] },
    untrue: ["current links", "current resolves"],
  },
  {
    name: "the link is a loop",
    damage: { put: [{ path: "app/current", link: "current" }] },
    untrue: ["current links"],
    unprovable: ["current resolves"],
  },
  {
    name: "the link is a copy",
    damage: { put: [{ path: "app/current", text: SERVER_CONF }] },
    untrue: ["current links", "current resolves"],
  },
  {
    name: "the tool may not be run",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 1.2\n", mode: 0o644 }] },
    untrue: ["tool is executable", "tool prints"],
  },
  {
    name: "the tool has setuid",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 1.2\n", mode: 0o4755 }] },
    untrue: ["tool not setuid", "no setuid"],
  },
  {
    name: "the tool may send raw packets",
    damage: {
      put: [
        {
          path: "app/tool",
          text: "#!/bin/sh\necho tool 1.2\n",
          mode: 0o755,
          xattrs: {
            "security.capability": Buffer.from("0100000200200000000000000000000000000000", "hex").toString(
              "latin1",
            ),
          },
        },
      ],
    },
    untrue: ["no capabilities", "tool has no capabilities"],
  },
  {
    name: "a setgid file elsewhere",
    damage: { put: [{ path: "usr/local/bin/helper", text: "x", mode: 0o2755 }] },
    untrue: ["no setuid"],
  },
  {
    name: "package.json starts another",
    damage: { put: [{ path: "app/package.json", text: '{"scripts":{"start":"node other.js"}}' }] },
    untrue: ["start script"],
  },
  {
    name: "package.json is broken",
    damage: { put: [{ path: "app/package.json", text: '{"scripts":' }] },
    untrue: ["start script"],
  },
  {
    name: "the settings are louder",
    damage: { put: [{ path: "app/settings.yaml", text: "log: { level: debug }\n" }] },
    untrue: ["yaml"],
  },
  {
    name: "a third package.json",
    damage: { put: [{ path: "app/lib/package.json", text: "{}" }] },
    untrue: ["two json"],
  },
];
