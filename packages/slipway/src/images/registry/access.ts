/**
 * Who may do what in the embedded registry. With `basic` every request carries the password; with `bearer` the registry
 * is its own token service at `/token`: the password is exchanged for a token that opens one scope for a few minutes.
 *
 * Rights are for the whole registry (read, or read and write), not for single repositories: blobs are shared between
 * repositories, so a right to one of them would open the others' blobs all the same.
 *
 * Source: RFC 7617 (Basic), and the token authentication of the Docker registry that clients of OCI registries speak.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Clock, isSameSecret } from "@slipway/base";
import { RegistryError } from "./response.ts";

export type Right = "read" | "write";

export interface RegistryUser {
  readonly name: string;
  readonly password: string;
  /** `write` includes reading. */
  readonly right: Right;
}

export interface RegistryAccess {
  readonly scheme: "basic" | "bearer";
  readonly users: readonly RegistryUser[];
  /** Reading needs no user. Default false. */
  readonly anonymousRead?: boolean;
}

const TOKEN_MS = 5 * 60 * 1000;

export class Gate {
  readonly #access: RegistryAccess;
  readonly #clock: Clock;
  /** Tokens end with the process. */
  readonly #key = randomBytes(32);

  constructor(access: RegistryAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  /** Throws 401 UNAUTHORIZED (with a challenge) to the unknown, 403 DENIED to whoever may only read. */
  check(request: IncomingMessage, repository: string | undefined): void {
    const needs = rightFor(request.method ?? "GET");
    const right = this.#rightOf(request, repository, needs);
    if (right === "write" || right === needs) return;
    if (right === undefined || this.#access.scheme === "bearer")
      throw this.#challenge(request, repository, needs);
    throw new RegistryError(403, "DENIED", "this user may only read");
  }

  /** Answers `GET /token` (Basic) and `POST /token` (a form with username and password). */
  async giveToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#access.scheme !== "bearer")
      throw new RegistryError(404, "UNSUPPORTED", "there are no tokens here");
    const asked =
      request.method === "POST"
        ? await readForm(request)
        : new URL(request.url ?? "/", "http://x").searchParams;
    const given =
      request.method === "POST" ? formCredentials(asked) : basicCredentials(request.headers.authorization);
    const user = given === undefined ? undefined : this.#find(given);
    if (given !== undefined && user === undefined)
      throw new RegistryError(401, "UNAUTHORIZED", "no such user, or another password");
    const right = user?.right ?? (this.#access.anonymousRead === true ? "read" : undefined);
    if (right === undefined)
      throw new RegistryError(401, "UNAUTHORIZED", "a user is needed", {
        "WWW-Authenticate": 'Basic realm="registry"',
      });
    const scopes = asked.getAll("scope").flatMap((scope) => scope.split(" "));
    const token = this.#sign({ grants: grantsOf(scopes, right), until: this.#clock.now() + TOKEN_MS });
    response
      .writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" })
      .end(JSON.stringify({ token, access_token: token, expires_in: TOKEN_MS / 1000 }));
  }

  #rightOf(request: IncomingMessage, repository: string | undefined, needs: Right): Right | undefined {
    const { authorization = "" } = request.headers;
    const anonymous = this.#access.anonymousRead === true ? "read" : undefined;
    if (this.#access.scheme === "basic") {
      const given = basicCredentials(authorization);
      if (given !== undefined) return this.#find(given)?.right;
      return needs === "read" && repository !== undefined ? anonymous : undefined;
    }
    const token = /^Bearer (.+)$/i.exec(authorization)?.[1];
    if (token === undefined) return repository === undefined ? undefined : anonymous;
    const claims = this.#verify(token);
    if (claims === undefined) return undefined;
    if (repository === undefined) return "read";
    return claims.grants.includes(`${repository} ${needs}`) ? needs : undefined;
  }

  #challenge(request: IncomingMessage, repository: string | undefined, needs: Right): RegistryError {
    const { host = "registry" } = request.headers;
    const scope =
      repository === undefined
        ? ""
        : `,scope="repository:${repository}:${needs === "read" ? "pull" : "pull,push"}"`;
    const header =
      this.#access.scheme === "basic"
        ? 'Basic realm="registry"'
        : `Bearer realm="http://${host}/token",service="${host}"${scope}`;
    return new RegistryError(401, "UNAUTHORIZED", "a login is needed", { "WWW-Authenticate": header });
  }

  #find(given: Given): RegistryUser | undefined {
    // Every user is compared, in constant time: how long it takes tells nothing.
    const fits = this.#access.users.filter(
      ({ name, password }) =>
        (isSameSecret(name, given.name) ? 1 : 0) + (isSameSecret(password, given.password) ? 1 : 0) === 2,
    );
    return fits[0];
  }

  #sign(claims: Claims): string {
    const body = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${body}.${this.#mac(body)}`;
  }

  #verify(token: string): Claims | undefined {
    const [body = "", mac = ""] = token.split(".");
    if (!isSameSecret(mac, this.#mac(body))) return undefined;
    const claims = JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as Claims;
    return claims.until > this.#clock.now() ? claims : undefined;
  }

  #mac(body: string): string {
    return createHmac("sha256", this.#key).update(body).digest("base64url");
  }
}

interface Claims {
  /** `shop/web read` */
  readonly grants: readonly string[];
  readonly until: number;
}

interface Given {
  readonly name: string;
  readonly password: string;
}

const rightFor = (method: string): Right => (method === "GET" || method === "HEAD" ? "read" : "write");

/** What of the scopes asked for (`repository:shop/web:pull,push`) somebody with this right gets. */
export function grantsOf(scopes: readonly string[], right: Right): readonly string[] {
  return scopes.flatMap((scope) => {
    const match = /^repository:([^:]+):(.+)$/.exec(scope);
    if (match === null) return [];
    const actions = (match[2] as string).split(",");
    const grants: string[] = [];
    if (actions.includes("pull") || actions.includes("*")) grants.push(`${match[1]} read`);
    const wantsWrite = actions.some((action) => action === "push" || action === "delete" || action === "*");
    if (wantsWrite && right === "write") grants.push(`${match[1]} write`);
    return grants;
  });
}

function basicCredentials(header: string | undefined): Given | undefined {
  const encoded = /^Basic (.+)$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function formCredentials(form: URLSearchParams): Given | undefined {
  const name = form.get("username");
  const password = form.get("password");
  return name === null || password === null ? undefined : { name, password };
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 16_384) throw new RegistryError(413, "SIZE_INVALID", "the form is too long");
  }
  return new URLSearchParams(text);
}
