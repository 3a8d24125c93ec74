/** What the configuration of an image can have wrong. */
import { env, type OfBase, PINNED } from "./mutation.ts";

export const CONFIGURATION: readonly OfBase[] = [
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
];
