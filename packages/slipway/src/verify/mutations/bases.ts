/** The undamaged images of the corpus: a server on Debian's files, and small ones for the other package databases. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Base, Put } from "./build.ts";

export const testdata = (name: string): string =>
  readFileSync(join(import.meta.dirname, "testdata", name), "utf8");

export const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
app:x:1000:1000:app:/app:/bin/sh
`;
export const GROUP = "root:x:0:\ndaemon:x:1:\nstaff:x:50:app\napp:x:1000:\n";
const SHADOW = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\napp:!:19000:0:99999:7:::\n";

export const DPKG_STATUS = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u9
Description: a library
 with a second line

Package: nginx-light
Status: install ok installed
Architecture: amd64
Version: 1.22.1-9+deb12u1
Description: a server

Package: telnet
Status: deinstall ok config-files
Version: 0.17-1
Description: was here once
`;

export const SERVER_CONF = "listen 8080;\nlocation /be1/ {\n  proxy_pass http://backend1;\n}\n";

/** A server for anybody's tests: httpd of busybox, started by a script that ends at SIGTERM. */
export const START = `#!/bin/sh
trap 'kill $!; exit 0' TERM
echo ready to serve
/bin/httpd -f -p 8080 -h /app/www &
wait
`;

const TOOLS = [
  "sh",
  "sleep",
  "cat",
  "echo",
  "id",
  "ls",
  "ps",
  "netstat",
  "httpd",
  "nc",
  "kill",
  "pwd",
  "true",
  "grep",
];

const config: Base["config"] = {
  User: "app",
  WorkingDir: "/app",
  Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "PORT=8080", "TOKEN_FILE=/run/token"],
  Entrypoint: ["/app/start"],
  Cmd: ["serve"],
  ExposedPorts: { "8080/tcp": {} },
  Labels: {
    team: "web",
    "org.opencontainers.image.base.name": "debian:12",
    "org.opencontainers.image.base.digest": `sha256:${"a".repeat(64)}`,
  },
  StopSignal: "SIGTERM",
  Volumes: { "/app/data": {} },
};

/** `busybox`: a static one of this machine; undefined: a file in its place, for images that only are read. */
export function webBase(busybox: string | undefined): Base {
  const program: Put =
    busybox === undefined
      ? { path: "bin/busybox", text: "\x7fELF not a real one", mode: 0o755 }
      : { path: "bin/busybox", source: { path: busybox, size: statSync(busybox).size } };
  return {
    name: "web",
    config,
    history: ["COPY rootfs /", "ENV PORT=8080", "USER app"],
    files: [
      program,
      ...TOOLS.map((name) => ({ path: `bin/${name}`, link: "busybox" })),
      { path: "tmp", mode: 0o1777 },
      { path: "proc" },
      { path: "dev" },
      { path: "sys" },
      { path: "etc/passwd", text: PASSWD },
      { path: "etc/group", text: GROUP },
      { path: "etc/shadow", text: SHADOW, mode: 0o640 },
      { path: "app/start", text: START, mode: 0o755 },
      { path: "app/tool", text: "#!/bin/sh\necho tool 1.2\n", mode: 0o755 },
      { path: "app/server.conf", text: SERVER_CONF },
      { path: "app/current", link: "/app/server.conf" },
      { path: "app/package.json", text: '{"name":"shop","scripts":{"start":"node ."}}' },
      { path: "app/settings.yaml", text: "log:\n  level: info\n" },
      { path: "app/node_modules/left-pad/package.json", text: '{"name":"left-pad","version":"1.3.0"}' },
      { path: "app/data", mode: 0o750, uid: 1000, gid: 1000 },
      { path: "app/data/state", text: "state\n", mode: 0o640, uid: 1000, gid: 50 },
      { path: "app/www/index.html", text: "the page\n" },
      { path: "bin/passwd", text: "\x7fELF", mode: 0o4755 },
      { path: "var/lib/dpkg/status", text: DPKG_STATUS },
      { path: "var/lib/dpkg/info/libc6:amd64.list", text: "/lib\n" },
      { path: "var/lib/dpkg/info/nginx-light.list", text: "/usr/sbin/nginx\n" },
    ],
  };
}

const bareConfig: Base["config"] = { User: "1000", Entrypoint: ["/server"], Labels: config.Labels ?? {} };

/** As distroless images: no shell, dpkg's records one file each. */
export const bareBase = (): Base => ({
  name: "bare",
  config: bareConfig,
  history: ["COPY server /"],
  files: [
    { path: "server", text: "\x7fELF", mode: 0o755 },
    {
      path: "var/lib/dpkg/status.d/base-files",
      text: "Package: base-files\nVersion: 12.4+deb12u5\nMaintainer: x\n",
    },
    { path: "var/lib/dpkg/status.d/libssl3", text: "Package: libssl3\nVersion: 3.0.13-1~deb12u1\n" },
    { path: "etc/ssl/shop.pem", text: testdata("shop.pem") },
    { path: "etc/ssl/shop.key", text: testdata("shop.key"), mode: 0o600 },
  ],
});

export const alpineBase = (): Base => ({
  name: "alpine",
  config: bareConfig,
  history: ["COPY server /"],
  files: [
    { path: "server", text: "\x7fELF", mode: 0o755 },
    { path: "etc/apk/world", text: "musl\nnginx\n" },
    {
      path: "lib/apk/db/installed",
      text: "C:Q1abc\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nC:Q1def\nP:nginx\nV:1.24.0-r15\nA:x86_64\nF:usr/sbin\nR:nginx\n",
    },
  ],
});

export const rpmBase = (): Base => ({
  name: "rpm",
  config: bareConfig,
  history: ["COPY server /"],
  files: [
    { path: "server", text: "\x7fELF", mode: 0o755 },
    {
      path: "usr/lib/sysimage/rpm/rpmdb.sqlite",
      text: rpmDatabase([
        { name: "glibc", version: "2.34", release: "60.el9" },
        { name: "nginx", version: "1.20.1", release: "14.el9", epoch: 2 },
      ]),
    },
  ],
});

export interface RpmPackage {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly epoch?: number;
}

/** A database as rpm 4.16 and later keep it, as far as names and versions go. */
export function rpmDatabase(packages: readonly RpmPackage[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "slipway-rpmdb-"));
  try {
    const path = join(folder, "rpmdb.sqlite");
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)");
    const insert = database.prepare("INSERT INTO Packages (blob) VALUES (?)");
    for (const one of packages) insert.run(rpmHeader(one));
    database.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rpmHeader({ name, version, release, epoch }: RpmPackage): Uint8Array {
  const entries: { readonly tag: number; readonly type: number; readonly data: Buffer }[] = [
    { tag: 1000, type: 6, data: Buffer.from(`${name}\0`) },
    { tag: 1001, type: 6, data: Buffer.from(`${version}\0`) },
    { tag: 1002, type: 6, data: Buffer.from(`${release}\0`) },
  ];
  if (epoch !== undefined) {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(epoch);
    entries.unshift({ tag: 1003, type: 4, data });
  }
  const index = Buffer.alloc(8 + entries.length * 16);
  index.writeUInt32BE(entries.length, 0);
  let offset = 0;
  for (const [at, { tag, type, data }] of entries.entries()) {
    for (const [word, value] of [tag, type, offset, 1].entries())
      index.writeUInt32BE(value, 8 + at * 16 + word * 4);
    offset += data.length;
  }
  index.writeUInt32BE(offset, 4);
  return Buffer.concat([index, ...entries.map(({ data }) => data)]);
}
