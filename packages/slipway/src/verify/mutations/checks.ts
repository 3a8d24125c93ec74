/** The checks of the corpus, by name; each base has its own. All of them hold on the undamaged image. */
import { createHash } from "node:crypto";
import { empty } from "../spec/expect.ts";
import type { ContainerTarget, ImageTarget } from "../spec/targets.ts";
import { SERVER_CONF } from "./bases.ts";

const CONF_SHA256 = createHash("sha256").update(SERVER_CONF).digest("hex");

export type Checks = Readonly<Record<string, (t: ImageTarget) => unknown>>;

/** Decided with nothing running. */
export const WEB: Checks = {
  user: (t) => t.image.user("app"),
  "non-root": (t) => t.image.runsAsNonRoot(),
  exposes: (t) => t.image.exposes(8080),
  "exposes no ssh": (t) => t.image.exposesNot(22),
  "env port": (t) => t.image.env("PORT", "8080"),
  "env debug unset": (t) => t.image.envUnset("DEBUG"),
  label: (t) => t.image.label("team", "web"),
  workdir: (t) => t.image.workdir("/app"),
  entrypoint: (t) => t.image.entrypoint(["/app/start"]),
  cmd: (t) => t.image.cmd(["serve"]),
  "stop signal": (t) => t.image.stopSignal("SIGTERM"),
  volume: (t) => t.image.volume("/app/data"),
  "no volume /etc": (t) => t.image.volumeUnset("/etc"),
  "no healthcheck": (t) => t.image.healthcheckUnset(),
  layers: (t) => t.image.maxLayers(3),
  "history copies": (t) => t.image.history("COPY rootfs"),
  "history has no curl | sh": (t) => t.image.historyLacks(/curl[^|]*\|\s*sh/),
  pinned: (t) => t.image.digestPinned(),
  "no secret in env": (t) => t.image.noSecretInEnvOrHistory(),
  "no secret in files": (t) => t.image.noSecretInFiles(),
  "command exists": (t) => t.image.commandExists(),
  "conf exists": (t) => t.file("/app/server.conf").exists(),
  "conf is a file": (t) => t.file("/app/server.conf").isFile(),
  "conf mode": (t) => t.file("/app/server.conf").mode("0644"),
  "conf owner": (t) => t.file("/app/server.conf").ownedBy("root:root"),
  "conf readable by app": (t) => t.file("/app/server.conf").readableBy("app"),
  "conf has backend": (t) => t.file("/app/server.conf").contains(/proxy_pass http:\/\/backend1/),
  "conf lacks debug": (t) => t.file("/app/server.conf").lacks("debug"),
  "conf lacks include": (t) => t.file("/app/server.conf").lacks(/^include /),
  "conf section": (t) =>
    t.file("/app/server.conf").contains("proxy_pass", { from: /location \/be1/, to: "}" }),
  "conf sha": (t) => t.file("/app/server.conf").sha256(CONF_SHA256),
  "conf size": (t) => t.file("/app/server.conf").maxSize(200),
  "no env file": (t) => t.file("/app/.env").absent(),
  "data is a folder": (t) => t.file("/app/data").isDirectory(),
  "data mode": (t) => t.file("/app/data").mode("0750"),
  "data owner": (t) => t.file("/app/data").ownedBy("app:app"),
  "data writable by app": (t) => t.file("/app/data").writableBy("app"),
  "state group": (t) => t.file("/app/data/state").group("staff"),
  "current links": (t) => t.file("/app/current").isSymlink().linkedTo("/app/server.conf"),
  "current resolves": (t) => t.file("/app/current").resolvesTo("/app/server.conf"),
  "tool is executable": (t) => t.file("/app/tool").executable(),
  "tool not setuid": (t) => t.file("/app/tool").notSetuid(),
  "start script": (t) => t.file("/app/package.json").json("scripts.start", "node ."),
  yaml: (t) => t.file("/app/settings.yaml").yaml("log.level", "info"),
  "no keys": (t) => t.files("**/{id_rsa*,.npmrc,.git,*.p12}").none(),
  "no keys, written with dots and slashes": (t) => t.files("{./root//.ssh/id_rsa/,/root/id_ed25519}").none(),
  "two json": (t) => t.files("/app/**/package.json").count(2),
  "no setuid": (t) => t.files("**").except("bin/passwd").noSetuid(),
  "no capabilities": (t) => t.files("**").except("bin/passwd").noCapabilities(),
  "tool has no capabilities": (t) => t.file("/app/tool").noCapabilities(),
  "not writable by others": (t) => t.files("/app/**").notWritableByOthers(),
  "user exists": (t) => t.user("app").exists().uid(1000).gid(1000).home("/app").shell("/bin/sh"),
  "user groups": (t) => t.user("app").groups("app", "staff").primaryGroup("app"),
  "user locked": (t) => t.user("app").locked(),
  "no second root": (t) => t.user("toor").absent(),
  "group exists": (t) => t.group("staff").exists().gid(50).members("app"),
  "no docker group": (t) => t.group("docker").absent(),
  "nginx installed": (t) => t.package("nginx-light").installed(),
  "nginx version": (t) => t.package("nginx-light").version(">=1.22 <1.23"),
  "no telnet": (t) => t.package("telnet").absent(),
  "left-pad version": (t) => t.package("left-pad", { manager: "npm" }).version("^1.3"),
  "no lodash": (t) => t.package("lodash", { manager: "npm" }).absent(),
};

/** Need something that runs. Short deadlines: what is broken here stays broken. What holds gets more time in `score.ts`. */
export const WEB_RUNNING: Checks = {
  "listening 8080": (t) => soon(t).port(8080).listening(),
  "no telnet port": (t) => soon(t).port(23).notListening(),
  "only 8080": (t) => soon(t).ports.onlyListening([8080]),
  "httpd running": (t) => soon(t).process("httpd").running(),
  "httpd as app": (t) => soon(t).process("httpd").user("app"),
  "one httpd": (t) => soon(t).process("httpd").count(1),
  "no nc running": (t) => soon(t).process("nc").notRunning(),
  "pid 1 is start": (t) => soon(t).process(1).args("/app/start"),
  "http page": (t) => soon(t).http("http://127.0.0.1:8080/").status(200).body("the page"),
  "http lacks stack": (t) => soon(t).http("http://127.0.0.1:8080/").bodyLacks("stack trace"),
  "reach closed 23": (t) => soon(t).reach("127.0.0.1", 23).closed(),
  "log ready": (t) => soon(t).log.contains("ready to serve"),
  "log no error": (t) => soon(t).log.lacks(/\berror\b/),
  running: (t) => soon(t).container.running(),
  "no restarts": (t) => soon(t).container.restarts(0).notOomKilled(),
  stops: (t) => soon(t).container.stopsWithin("10s"),
  "tool prints": (t) => t.command(["/app/tool"]).stdout("tool 1.2"),
  "shell line": (t) => t.command("echo $PORT; pwd").stdout("8080\n/app"),
  "no nginx command": (t) => t.command("nginx -v").exits(127),
  "id is app": (t) => t.command(["id", "-u"]).stdout("1000").stderr(empty()),
};

const soon = (t: ImageTarget): ContainerTarget => t.within("1s");

export const BARE: Checks = {
  "no shell": (t) => t.image.noShell(),
  "command exists": (t) => t.image.commandExists(),
  "non-root": (t) => t.image.runsAsNonRoot(),
  "libssl version": (t) => t.package("libssl3").version(">=3.0.13-1~deb12u1 <3.1"),
  "base-files installed": (t) => t.package("base-files").installed(),
  "no bash": (t) => t.package("bash").absent(),
  "certificate valid": (t) => t.certificate("/etc/ssl/shop.pem").validFor(30),
  "certificate names": (t) => t.certificate("/etc/ssl/shop.pem").names("shop.example", "api.shop.example"),
  "certificate subject": (t) =>
    t
      .certificate("/etc/ssl/shop.pem")
      .subject("CN=shop.example")
      .issuer(/CN=shop/),
  "certificate key": (t) => t.certificate("/etc/ssl/shop.pem").matchesKey("/etc/ssl/shop.key").keyBits(256),
  "key mode": (t) => t.file("/etc/ssl/shop.key").mode("0600"),
  "no users": (t) => t.user("admin").absent(),
};

export const ALPINE: Checks = {
  "nginx version": (t) => t.package("nginx").version(">=1.24.0-r10 <1.25"),
  "musl installed": (t) => t.package("musl").installed(),
  "no curl": (t) => t.package("curl").absent(),
};

export const RPM: Checks = {
  "nginx version": (t) => t.package("nginx").version(">=2:1.20 <2:1.21"),
  "glibc installed": (t) => t.package("glibc").installed(),
  "no curl": (t) => t.package("curl").absent(),
};
