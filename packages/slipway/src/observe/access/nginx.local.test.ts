/**
 * What nginx really writes: Debian's nginx answers ordinary and hostile requests (as raw bytes), logs each in every
 * format, and all the formats must tell the same story.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "@slipway/base";
import { NAMED_FORMATS } from "./format.ts";
import { readLines } from "./testing.ts";

const NGINX = "/usr/sbin/nginx";

const SLIPWAY = `{"time":"$time_iso8601","msec":"$msec","severity":"INFO","httpRequest":{"requestMethod":"$request_method","requestUrl":"$request_uri","requestSize":"$request_length","status":$slipway_status,"responseSize":"$body_bytes_sent","userAgent":"$http_user_agent","remoteIp":"$remote_addr","referer":"$http_referer","latency":"\${request_time}s","protocol":"$server_protocol"},"upstream_time":"$upstream_response_time","upstream_status":"$upstream_status","req_id":"$request_id"}`;
/** As people write it: numbers without quotes. */
const BARE = `{"t":"$time_local","ip":"$remote_addr","req":"$request","s":$status,"b":$body_bytes_sent,"ref":"$http_referer","ua":"$http_user_agent","rt":$request_time,"urt":$upstream_response_time}`;

const formats: Readonly<Record<string, string>> = {
  combined: NAMED_FORMATS["combined"] as string,
  main: NAMED_FORMATS["main"] as string,
  timed: NAMED_FORMATS["timed"] as string,
  keys: NAMED_FORMATS["timed-keys"] as string,
  upstreaminfo: NAMED_FORMATS["upstreaminfo"] as string,
  slipway: SLIPWAY,
  bare: BARE,
};

const head = "Host: a\r\nConnection: close\r\n";
const requests: readonly (readonly [string, number])[] = [
  [`GET /ok?x=1 HTTP/1.1\r\n${head}User-Agent: curl/8\r\n\r\n`, 200],
  [`GET /proxied/7 HTTP/1.1\r\n${head}Referer: https://e.com/?token=abc\r\n\r\n`, 200],
  [`GET /two-tries HTTP/1.1\r\n${head}\r\n`, 200],
  [`GET /missing HTTP/1.1\r\n${head}User-Agent: a"b\\c\tд\x7f\r\n\r\n`, 404],
  [`GET /closed HTTP/1.1\r\n${head}\r\n`, 444],
  [`GET /dead HTTP/1.1\r\n${head}\r\n`, 502],
  // Since 1.21.1 nginx refuses a space; the line is the same.
  [`GET /with space HTTP/1.1\r\n${head}\r\n`, 400],
  [`PROPFIND /ok HTTP/1.1\r\n${head}\r\n`, 200],
  [`GET /caf\u00e9?token=secret HTTP/1.1\r\n${head}\r\n`, 404],
  [`GET /${"x".repeat(6000)} HTTP/1.1\r\n${head}\r\n`, 404],
  [`GET http://other/ok HTTP/1.1\r\n${head}\r\n`, 200],
  [`CONNECT other:443 HTTP/1.1\r\n${head}\r\n`, 400],
  ["GET /ok\r\n", 200],
  ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
  ["\x03\x00\x00/*\xe0\x00\x00\x00\x00\x00Cookie: mstshash=Administr\r\n", 400],
  ['GET /" 200 5 "-" "fake" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 400],
  [`GET /%0a%0dinjected%22 HTTP/1.1\r\n${head}\r\n`, 404],
  [`GET /ok HTTP/1.1\r\n${head}Authorization: Basic ${btoa("a [b] c:x")}\r\n\r\n`, 200],
  [`get /ok HTTP/1.1\r\n${head}\r\n`, 400],
  ["\r\n\r\nGET\r\n\r\n", 400],
  [`GET /ok HTTP/9.9\r\n${head}\r\n`, 505],
];

const configuration = (folder: string, backend: string): string => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  map $status $slipway_status { default $status; 000 0; 009 9; }
  large_client_header_buffers 4 16k;
  upstream dead { server unix:${folder}/nobody; }
  upstream two { server unix:${folder}/nobody max_fails=0; server unix:${backend} max_fails=0 backup; }
${Object.entries(formats)
  .map(
    ([name, format]) => `  log_format ${name}_ ${format.startsWith("{") ? "escape=json " : ""}'${format}';`,
  )
  .join("\n")}
${Object.keys(formats)
  .map((name) => `  access_log ${folder}/${name} ${name}_;`)
  .join("\n")}
  client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
  uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
  server {
    listen unix:${folder}/socket;
    set $proxy_upstream_name "default-web-80"; set $proxy_alternative_upstream_name ""; set $req_id $request_id;
    location = /ok { return 200 "ok"; }
    location = /closed { return 444; }
    location /proxied/ { proxy_pass http://unix:${backend}:/; }
    location = /two-tries { proxy_pass http://two; }
    location = /dead { proxy_pass http://dead; }
    location / { return 404; }
  }
}
`;

/** Sends the bytes and waits until nginx closes. */
async function send(socket: string, bytes: Buffer): Promise<void> {
  const client = connect(socket);
  client.on("error", () => {});
  client.resume();
  // Not ended: a client that closes its side early is a 499, not what it asked for.
  client.write(bytes);
  await once(client, "close");
}

async function start(folder: string): Promise<ChildProcess> {
  const server = spawn(
    NGINX,
    ["-c", join(folder, "nginx.conf"), "-p", folder, "-e", join(folder, "error.log")],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let said = "";
  server.stderr.on("data", (text) => {
    said += String(text);
  });
  await until("nginx to start", () => {
    assert.equal(server.exitCode, null, said);
    return existsSync(join(folder, "pid"));
  });
  return server;
}

test("every format of nginx tells the same of every request", {
  skip: existsSync(NGINX) ? false : "nginx is not installed (apt-get install nginx-light)",
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-nginx-"));
  const backend = join(folder, "backend");
  const http = createServer((_, response) => response.end("from behind"));
  await once(http.listen(backend), "listening");
  try {
    writeFileSync(join(folder, "nginx.conf"), configuration(folder, backend));
    const server = await start(folder);
    try {
      for (const [bytes] of requests) await send(join(folder, "socket"), Buffer.from(bytes, "latin1"));
    } finally {
      const exited = once(server, "exit");
      server.kill("SIGQUIT");
      await exited;
    }
    const read = Object.keys(formats).map((name) => {
      const bytes = readFileSync(join(folder, name));
      const { rows, logs, quarantine } = readLines(bytes, {
        formats: name === "bare" ? { nginx: BARE } : {},
      });
      assert.deepEqual({ name, logs, quarantine }, { name, logs: [], quarantine: [] });
      return { name, rows };
    });
    for (const { name, rows } of read) {
      assert.deepEqual(
        rows.map(({ status }) => status),
        requests.map(([, status]) => status),
        name,
      );
      for (const [index, row] of rows.entries()) {
        const first = read[0]?.rows[index];
        assert.equal(row.bytes, first?.bytes, name);
        assert.equal(row.ip, "unix:", name);
        assert.ok(!row.path.includes("secret") && !row.referer.includes("abc"), name);
        // The text formats write $request, ours what nginx made of it.
        if (name !== "slipway") assert.equal(row.method, first?.method, `${name} ${index}`);
      }
    }
    const timed = read.find(({ name }) => name === "timed")?.rows ?? [];
    assert.deepEqual(
      timed.slice(0, 6).map(({ attempts }) => attempts),
      [0, 1, 2, 0, 0, 1],
    );
    for (const name of ["keys", "upstreaminfo", "slipway", "bare"]) {
      const rows = read.find((other) => other.name === name)?.rows ?? [];
      assert.deepEqual(
        rows.map(({ ms, upstreamMs, attempts }) => ({ ms, upstreamMs, attempts })),
        timed.map(({ ms, upstreamMs, attempts }) => ({ ms, upstreamMs, attempts })),
        name,
      );
    }
  } finally {
    http.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
