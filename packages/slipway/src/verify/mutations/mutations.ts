/**
 * The corpus: images that are broken in one way each, and of which checks that makes untrue. Every other check of the
 * base still holds there. A check that passes although it is named here is a false pass.
 */
import { DPKG_STATUS, GROUP, PASSWD, rpmDatabase, SERVER_CONF, START, testdata } from "./bases.ts";
import type { Damage } from "./build.ts";

export interface Mutation {
  readonly name: string;
  readonly base: "web" | "bare" | "alpine" | "rpm";
  readonly damage: Damage;
  /** Names of checks that do not hold any more. */
  readonly untrue: readonly string[];
  /** Checks whose only proof is what was damaged: unknown is the right answer to them. */
  readonly unprovable?: readonly string[];
  /** About what runs, although no check of what runs is untrue by it. */
  readonly isAboutRunning?: true;
}

const conf = (text: string): Damage => ({ put: [{ path: "app/server.conf", text }] });
const start = (text: string): Damage => ({ put: [{ path: "app/start", text, mode: 0o755 }] });
const env = (...more: readonly string[]): readonly string[] => [
  "PATH=/usr/local/bin:/usr/bin:/bin",
  "PORT=8080",
  ...more,
];
const PINNED = {
  "org.opencontainers.image.base.name": "debian:12",
  "org.opencontainers.image.base.digest": `sha256:${"a".repeat(64)}`,
};

/** Of a server that does not run at all. Negative checks are then not untrue, but nothing could be seen. */
const DEAD = [
  "listening 8080",
  "only 8080",
  "httpd running",
  "httpd as app",
  "one httpd",
  "pid 1 is start",
  "http page",
  "http lacks stack",
  "running",
  "stops",
];
const UNSEEN = ["no telnet port", "no nc running", "reach closed 23", "log no error", "no restarts"];
const NOT_SERVING = [
  "listening 8080",
  "only 8080",
  "httpd running",
  "httpd as app",
  "one httpd",
  "http page",
  "http lacks stack",
];

const WEB: readonly Omit<Mutation, "base">[] = [
  // The configuration
  {
    name: "USER is missing",
    damage: { config: { User: undefined } },
    untrue: ["user", "non-root", "httpd as app", "id is app"],
  },
  {
    name: "USER is root",
    damage: { config: { User: "root" } },
    untrue: ["user", "non-root", "httpd as app", "id is app"],
  },
  {
    name: "USER is 0",
    damage: { config: { User: "0" } },
    untrue: ["user", "non-root", "httpd as app", "id is app"],
  },
  { name: "USER is a number", damage: { config: { User: "1000:1000" } }, untrue: ["user"] },
  { name: "EXPOSE is missing", damage: { config: { ExposedPorts: undefined } }, untrue: ["exposes"] },
  { name: "EXPOSE is null", damage: { config: { ExposedPorts: null } }, untrue: ["exposes"] },
  { name: "EXPOSE is UDP", damage: { config: { ExposedPorts: { "8080/udp": {} } } }, untrue: ["exposes"] },
  {
    name: "ssh is exposed",
    damage: { config: { ExposedPorts: { "8080/tcp": {}, "22/tcp": {} } } },
    untrue: ["exposes no ssh"],
  },
  {
    name: "PORT is another",
    damage: { config: { Env: ["PATH=/usr/bin:/bin", "PORT=9090"] } },
    untrue: ["env port", "shell line"],
  },
  {
    name: "PORT is set twice",
    damage: { config: { Env: env("PORT=9090") } },
    untrue: ["env port", "shell line"],
  },
  { name: "DEBUG is set", damage: { config: { Env: env("DEBUG=1") } }, untrue: ["env debug unset"] },
  {
    name: "DEBUG is set to nothing",
    damage: { config: { Env: env("DEBUG=") } },
    untrue: ["env debug unset"],
  },
  {
    name: "the label is another",
    damage: { config: { Labels: { ...PINNED, team: "api" } } },
    untrue: ["label"],
  },
  {
    name: "labels are null",
    damage: { config: { Labels: null } },
    untrue: ["label"],
    unprovable: ["pinned"],
  },
  {
    name: "the base has no digest",
    damage: { config: { Labels: { team: "web", "org.opencontainers.image.base.name": "debian:12" } } },
    untrue: ["pinned"],
  },
  { name: "WORKDIR is another", damage: { config: { WorkingDir: "/" } }, untrue: ["workdir", "shell line"] },
  { name: "CMD has one word more", damage: { config: { Cmd: ["serve", "--debug"] } }, untrue: ["cmd"] },
  { name: "CMD is empty", damage: { config: { Cmd: [] } }, untrue: ["cmd"] },
  { name: "STOPSIGNAL is another", damage: { config: { StopSignal: "SIGUSR1" } }, untrue: ["stop signal"] },
  { name: "VOLUME is gone", damage: { config: { Volumes: undefined } }, untrue: ["volume"] },
  {
    name: "VOLUME over /etc",
    damage: { config: { Volumes: { "/app/data": {}, "/etc": {} } } },
    untrue: ["no volume /etc"],
  },
  {
    name: "a secret in ENV",
    damage: { config: { Env: env("DB_PASSWORD=hunter22") } },
    untrue: ["no secret in env"],
  },
  {
    name: "a password in a URL in ENV",
    damage: { config: { Env: env("DATABASE_URL=postgres://u:hunter22@db/x") } },
    untrue: ["no secret in env"],
  },
  {
    name: "a token in the history",
    damage: { history: ["RUN API_TOKEN=abcdef123456 npm ci"] },
    untrue: ["no secret in env"],
  },
  {
    name: "curl | sh in the history",
    damage: { history: ["RUN curl -s https://x.example | sh"] },
    untrue: ["history has no curl | sh"],
  },
  {
    name: "layers without number",
    damage: {
      put: [{ path: "x1", text: "" }],
      above: { put: [{ path: "x2", text: "" }], above: { put: [{ path: "x3", text: "" }] } },
    },
    untrue: ["layers"],
  },
  // Files
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
  // Accounts
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
  // Packages
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
  // What runs
  {
    name: "ps, netstat and cat are gone",
    isAboutRunning: true,
    damage: { remove: ["bin/ps", "bin/netstat", "bin/cat", "bin/ls", "bin/grep"] },
    untrue: [],
  },
  {
    name: "ps and netstat are gone while telnet is open",
    damage: {
      remove: ["bin/ps", "bin/netstat", "bin/cat"],
      ...start(START.replace("wait", "nc -l -p 2323 &\n/bin/httpd -f -p 9023 -h /app/www &\nwait")),
    },
    untrue: ["only 8080", "one httpd", "no nc running"],
  },
  {
    name: "the start script is gone",
    damage: { remove: ["app/start"] },
    untrue: ["command exists", ...DEAD, "log ready"],
    unprovable: UNSEEN,
  },
  {
    name: "the start script may not be run",
    damage: { put: [{ path: "app/start", text: START, mode: 0o644 }] },
    untrue: ["command exists", ...DEAD, "log ready"],
    unprovable: UNSEEN,
  },
  {
    name: "the shell is gone",
    damage: { remove: ["bin/sh"] },
    untrue: ["command exists", ...DEAD, "log ready", "tool prints", "shell line"],
    unprovable: [...UNSEEN, "no nginx command"],
  },
  { name: "the server is gone", damage: { remove: ["bin/httpd"] }, untrue: DEAD, unprovable: UNSEEN },
  {
    name: "the server listens on another port",
    damage: start(START.replace("8080", "9090")),
    untrue: ["listening 8080", "only 8080", "http page", "http lacks stack"],
  },
  {
    name: "a second port is open",
    damage: start(START.replace("wait", "/bin/httpd -f -p 9090 -h /app/www &\nwait")),
    untrue: ["only 8080", "one httpd"],
  },
  {
    name: "it ends at once",
    damage: start("#!/bin/sh\necho error: no database >&2\nexit 3\n"),
    untrue: [...DEAD, "log ready", "log no error"],
    unprovable: UNSEEN,
  },
  {
    name: "it ends at once and well",
    damage: start("#!/bin/sh\necho ready to serve\n"),
    untrue: DEAD,
    unprovable: UNSEEN,
  },
  {
    name: "it starts nothing",
    damage: start("#!/bin/sh\ntrap 'exit 0' TERM\necho ready to serve\nsleep 1000 &\nwait\n"),
    untrue: NOT_SERVING,
  },
  {
    name: "PID 1 ignores SIGTERM",
    damage: start(START.replace("'kill $!; exit 0'", "''")),
    untrue: ["stops"],
  },
  {
    name: "PID 1 is the server itself",
    damage: start("#!/bin/sh\necho ready to serve\nexec /bin/httpd -f -p 8080 -h /app/www\n"),
    untrue: ["pid 1 is start"],
    unprovable: ["stops"],
  },
  {
    name: "it logs an error",
    damage: start(START.replace("wait", "echo error: disk full >&2\nwait")),
    untrue: ["log no error"],
  },
  {
    name: "it says nothing",
    damage: start(START.replace("echo ready to serve\n", "")),
    untrue: ["log ready"],
  },
  {
    name: "the page is gone",
    damage: { remove: ["app/www/index.html"] },
    untrue: ["http page", "http lacks stack"],
  },
  {
    name: "the page shows a stack trace",
    damage: { put: [{ path: "app/www/index.html", text: "stack trace: at x\n" }] },
    untrue: ["http page", "http lacks stack"],
  },
  {
    name: "the tool prints another version",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 2.0\n", mode: 0o755 }] },
    untrue: ["tool prints"],
  },
  {
    name: "the tool fails after its output",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 1.2\nexit 1\n", mode: 0o755 }] },
    untrue: ["tool prints"],
  },
  {
    name: "nginx is a command",
    damage: { put: [{ path: "bin/nginx", text: "#!/bin/sh\n", mode: 0o755 }] },
    untrue: ["no nginx command"],
  },
];

const BARE: readonly Omit<Mutation, "base">[] = [
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

const ALPINE: readonly Omit<Mutation, "base">[] = [
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

const RPM: readonly Omit<Mutation, "base">[] = [
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

const of = (base: Mutation["base"], table: readonly Omit<Mutation, "base">[]): readonly Mutation[] =>
  table.map((one) => ({ ...one, base }));

export const MUTATIONS: readonly Mutation[] = [
  ...of("web", WEB),
  ...of("bare", BARE),
  ...of("alpine", ALPINE),
  ...of("rpm", RPM),
];
