/** X.509 certificates in files, and those that a server shows. Source: RFC 5280; RFC 6125 for names, by node:crypto. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { type CheckOf, fail, type Judgement, pass, unknown } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";
import { bytesIfThere } from "../packages/database.ts";
import { judgeText } from "../text.ts";
import { firstLine } from "./files.ts";

const DAY_MS = 86_400_000;

export async function judgeCertificate(
  { resource: { path }, expectation }: Pick<CheckOf<"certificate">, "resource" | "expectation">,
  files: ContainerFiles,
  now: number,
): Promise<Judgement> {
  const content = await bytesIfThere(files, path);
  if (content === undefined) return fail(`there is no ${path}`);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(content);
  } catch (error) {
    return fail(`it is not a certificate: ${firstLine(error)}`);
  }
  switch (expectation.matcher) {
    case "validFor":
      return judgeValidity(certificate, expectation.days, now);
    case "subject":
      return judgeText("subject", certificate.subject ?? "", expectation.match);
    case "issuer":
      return judgeText("issuer", certificate.issuer ?? "", expectation.match);
    case "names": {
      const missing = expectation.names.filter((name) => !isFor(certificate, name));
      if (missing.length === 0) return pass();
      return fail(
        `not for ${missing.join(", ")}; it is for ${certificate.subjectAltName ?? certificate.subject}`,
      );
    }
    case "keyBits": {
      const bits = keyBits(certificate);
      if (bits === undefined)
        return unknown(`its key is ${certificate.publicKey.asymmetricKeyType}, which has no bits`);
      return bits >= expectation.atLeast ? pass(`${bits} bits`) : fail(`${bits} bits`);
    }
    case "matchesKey":
      return judgeKey(certificate, expectation.keyPath, files);
  }
}

/** Valid at `now` and still after so many days. */
export function judgeValidity(certificate: X509Certificate, days: number, now: number): Judgement {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (from > now) return fail(`not valid before ${certificate.validFrom}`);
  const left = Math.floor((to - now) / DAY_MS);
  if (to < now) return fail(`it ended ${certificate.validTo}`);
  return left >= days
    ? pass(`${left} days`)
    : fail(`valid for ${left} more days, until ${certificate.validTo}`);
}

const isFor = (certificate: X509Certificate, name: string): boolean =>
  (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;

const CURVE_BITS: Readonly<Record<string, number>> = {
  prime256v1: 256,
  secp256k1: 256,
  secp384r1: 384,
  secp521r1: 521,
};

function keyBits(certificate: X509Certificate): number | undefined {
  const { asymmetricKeyDetails, asymmetricKeyType } = certificate.publicKey;
  if (asymmetricKeyType === "ed25519") return 256;
  if (asymmetricKeyType === "ed448") return 448;
  return asymmetricKeyDetails?.modulusLength ?? CURVE_BITS[asymmetricKeyDetails?.namedCurve ?? ""];
}

async function judgeKey(
  certificate: X509Certificate,
  keyPath: string,
  files: ContainerFiles,
): Promise<Judgement> {
  const content = await bytesIfThere(files, keyPath);
  if (content === undefined) return fail(`there is no ${keyPath}`);
  const text = Buffer.from(content).toString("utf8");
  if (/ENCRYPTED/.test(text)) return unknown(`${keyPath} is encrypted`);
  try {
    const key = text.includes("-----BEGIN")
      ? createPrivateKey(text)
      : createPrivateKey({ key: Buffer.from(content), format: "der", type: "pkcs8" });
    return certificate.checkPrivateKey(key) ? pass() : fail(`${keyPath} is the key of another certificate`);
  } catch (error) {
    return fail(`${keyPath} is not a private key: ${firstLine(error)}`);
  }
}
