/**
 * What pods show to the API server: a token of their ServiceAccount, in the form that Kubernetes gives them (a JWT, RFC 7519)
 * and signed with a key of this cluster. It has no end, and no audience is checked: the cluster lives on one machine.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface AccountTokens {
  tokenOf(namespace: string, name: string): string;
  /** Whose token it is; undefined when it is none of this cluster. */
  accountOf(token: string): { readonly namespace: string; readonly name: string } | undefined;
}

const ISSUER = "https://kubernetes.default.svc.cluster.local";
const HEADER = encoded({ alg: "HS256", typ: "JWT" });

/** `secret` stays in the cluster: who has it can be every account. The same one makes the same tokens after a restart. */
export function createAccountTokens(secret: string): AccountTokens {
  // A token tells nothing about the administrator's, which the secret may be.
  const key = createHmac("sha256", secret).update("service accounts").digest();
  const signature = (signed: string): Buffer => createHmac("sha256", key).update(signed).digest();
  return {
    tokenOf(namespace, name) {
      const claims = encoded({
        iss: ISSUER,
        aud: [ISSUER],
        sub: `system:serviceaccount:${namespace}:${name}`,
        "kubernetes.io": { namespace, serviceaccount: { name } },
      });
      const signed = `${HEADER}.${claims}`;
      return `${signed}.${signature(signed).toString("base64url")}`;
    },
    accountOf(token) {
      const [header = "", claims = "", given = ""] = token.split(".");
      const own = signature(`${header}.${claims}`);
      const shown = Buffer.from(given, "base64url");
      if (shown.length !== own.length || !timingSafeEqual(shown, own)) return undefined;
      // Only what was signed here is read.
      const { sub } = JSON.parse(Buffer.from(claims, "base64url").toString("utf8")) as {
        readonly sub: string;
      };
      const [, , namespace = "", name = ""] = sub.split(":");
      return { namespace, name };
    },
  };
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
