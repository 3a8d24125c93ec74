/** Requests and connections from inside a container's network: run by the helper, which is in it. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { systemCode } from "@slipway/base/error";
import type { InsideRequest, InsideResponse, ReachResult } from "../engine.ts";

/** More of a body than this is not a check's business. */
const BODY_MAX = 10 * 1024 * 1024;

export type Resolve = (name: string, timeoutMs: number) => Promise<readonly string[]>;

/** One request; redirects are not followed, and no connection is kept. */
export async function httpInside(
  request: InsideRequest,
  resolve: Resolve,
  now: () => number,
): Promise<InsideResponse> {
  const startedAt = now();
  const tookMs = (): number => Math.round(now() - startedAt);
  let isLookingUp = false;
  const watched: Resolve = async (name, timeoutMs) => {
    isLookingUp = true;
    const addresses = await resolve(name, timeoutMs);
    isLookingUp = false;
    return addresses;
  };
  try {
    const url = new URL(request.url);
    // TLS takes as long to load as the rest of the helper, and few ask for it.
    const send = url.protocol === "https:" ? (await import("node:https")).request : httpRequest;
    const { response, body } = await exchange(send, url, request, watched);
    const certificate = (response.socket as Partial<TLSSocket>).getPeerCertificate?.().raw;
    return {
      status: response.statusCode ?? 0,
      headers: Object.fromEntries(
        Object.entries(response.headersDistinct).map(([name, values]) => [name, (values ?? []).join(", ")]),
      ),
      body,
      certificate: certificate === undefined ? undefined : pem(certificate),
      tookMs: tookMs(),
    };
  } catch (error) {
    return {
      error: systemCode(error) ?? "EPROTO",
      message: messageOf(error),
      ...(isLookingUp ? { isUnresolved: true } : {}),
      tookMs: tookMs(),
    };
  }
}

function exchange(
  send: typeof httpRequest,
  url: URL,
  asked: InsideRequest,
  resolve: Resolve,
): Promise<{ readonly response: IncomingMessage; readonly body: string }> {
  return new Promise((done, fail) => {
    const options: RequestOptions & { readonly rejectUnauthorized: boolean } = {
      method: asked.method,
      headers: asked.headers,
      agent: false,
      lookup: lookupBy(resolve, asked.timeoutMs),
      signal: AbortSignal.timeout(asked.timeoutMs),
      rejectUnauthorized: !asked.isInsecure,
    };
    const request = send(url, options, (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on("data", (piece: Buffer) => {
        if (length < BODY_MAX) pieces.push(piece);
        length += piece.length;
      });
      response.once("error", fail);
      response.once("end", () =>
        done({ response, body: Buffer.concat(pieces).subarray(0, BODY_MAX).toString("utf8") }),
      );
    });
    request.once("error", (error) => fail(isTimeout(error) ? timedOut(url.host, asked.timeoutMs) : error));
    request.end(asked.body);
  });
}

/** Whether somebody accepts; the first address that does is enough. */
export async function reachInside(
  host: string,
  port: number,
  timeoutMs: number,
  resolve: Resolve,
  now: () => number,
): Promise<ReachResult> {
  const startedAt = now();
  const tookMs = (): number => Math.round(now() - startedAt);
  const unresolved = (error: string): ReachResult => ({
    isOpen: false,
    isUnresolved: true,
    error,
    tookMs: tookMs(),
  });
  let addresses: readonly string[];
  try {
    addresses = await resolve(host, timeoutMs);
  } catch (thrown) {
    return unresolved(systemCode(thrown) ?? messageOf(thrown));
  }
  let error: string | undefined;
  for (const ip of addresses) {
    error = await knock(ip, port, Math.max(1, timeoutMs - tookMs()));
    if (error === undefined) return { isOpen: true, tookMs: tookMs() };
  }
  return error === undefined ? unresolved("ENOTFOUND") : { isOpen: false, error, tookMs: tookMs() };
}

function knock(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((done) => {
    const socket: Socket = connect({ host, port, signal: AbortSignal.timeout(timeoutMs) });
    const end = (failure: string | undefined): void => {
      done(failure);
      socket.destroy();
    };
    socket.once("connect", () => end(undefined));
    socket.on("error", (error) => end(isTimeout(error) ? "ETIMEDOUT" : (systemCode(error) ?? error.message)));
  });
}

function lookupBy(resolve: Resolve, timeoutMs: number): LookupFunction {
  return (name, options, callback) => {
    resolve(name, timeoutMs).then(
      (ips) => {
        const addresses = ips.map((address) => ({ address, family: isIP(address) }));
        const [first] = addresses;
        if (first === undefined) {
          const missing = Object.assign(new Error(`no such name: ${name}`), { code: "ENOTFOUND" });
          callback(missing, "", 0);
        } else if (options.all === true) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
}

function isTimeout(error: Error): boolean {
  return error.name === "AbortError" || error.name === "TimeoutError";
}

function timedOut(place: string, timeoutMs: number): Error {
  return Object.assign(new Error(`${place} did not answer within ${timeoutMs} ms`), { code: "ETIMEDOUT" });
}

/** With several addresses Node throws one error that has the others inside. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map((one: unknown) => messageOf(one)).join("; ");
  return error instanceof Error ? error.message : String(error);
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
