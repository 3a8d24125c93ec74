/**
 * The certificate authority and the server certificate of one cluster, written as X.509 DER by hand: a machine
 * that has only Node has no openssl program, and node:crypto makes keys and signatures but no certificates.
 * Shapes are from RFC 5280 (certificate profile), RFC 5480 (P-256 keys) and X.690 (DER).
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIPv4 } from "node:net";
import { join } from "node:path";
import { readTextIfExists, writeAtomic } from "@slipway/base";

export interface Certificates {
  /** PEM texts. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
/** Local clusters are throw-away; ten years keeps them from dying of age. */
const VALID_DAYS = 3650;
/** A certificate that ends sooner than this is made anew at the start. */
const RENEW_DAYS = 30;

const SERVER_NAMES = [
  "127.0.0.1",
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "10.96.0.1",
] as const;

/**
 * The certificates kept in `directory`, or new ones. Kept, so that a kubeconfig handed out before a restart still
 * trusts the server after it. Whatever is missing, expired or does not fit together is made anew; the authority
 * is only replaced when it is itself unusable.
 */
export async function ensureCertificates(options: {
  readonly name: string;
  readonly directory?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}): Promise<Certificates> {
  const { name, directory, now } = options;
  if (directory === undefined) {
    const authority = newAuthority(name, now);
    return { ca: authority.certificate, ...newServerCertificate(authority, now) };
  }
  const path = (file: string): string => join(directory, "pki", file);
  const read = (file: string): Promise<string | undefined> => readTextIfExists(path(file));

  const kept = usablePair(await read("ca.crt"), await read("ca.key"), now);
  const authority = kept ?? newAuthority(name, now);
  if (kept === undefined) {
    await writeAtomic(path("ca.key"), authority.key, 0o600);
    await writeAtomic(path("ca.crt"), authority.certificate);
  }
  const keptServer = usablePair(
    await read("server.crt"),
    await read("server.key"),
    now,
    authority.certificate,
  );
  const server = keptServer ?? newServerCertificate(authority, now);
  if (keptServer === undefined) {
    await writeAtomic(path("server.key"), server.key, 0o600);
    await writeAtomic(path("server.crt"), server.certificate);
  }
  return { ca: authority.certificate, certificate: server.certificate, key: server.key };
}

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** The pair when the key belongs to the certificate, it is still valid, and (if asked) the authority signed it. */
function usablePair(
  certificate: string | undefined,
  key: string | undefined,
  now: number,
  signedBy?: string,
): Pair | undefined {
  if (certificate === undefined || key === undefined) return undefined;
  try {
    const parsed = new X509Certificate(certificate);
    const privateKey = createPrivateKey(key);
    const isFresh = parsed.validToDate.getTime() - now > RENEW_DAYS * DAY_MS;
    const isSigned = signedBy === undefined || parsed.verify(new X509Certificate(signedBy).publicKey);
    return isFresh && isSigned && parsed.checkPrivateKey(privateKey) ? { certificate, key } : undefined;
  } catch {
    // Not a certificate or key at all, for instance cut off by a crash of the disk.
    return undefined;
  }
}

function newAuthority(name: string, now: number): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = distinguishedName(`slipway ${name}`);
  const keyId = keyIdentifier(publicKey);
  const der = certificateDer({
    subject,
    issuer: subject,
    publicKey,
    signingKey: privateKey,
    now,
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true))),
      // keyCertSign (bit 5) and cRLSign (bit 6), so one byte 0000 0110 with one unused bit.
      extension(OID.keyUsage, true, bitString(Buffer.from([0x06]), 1)),
      extension(OID.subjectKeyIdentifier, false, octetString(keyId)),
    ],
  });
  return { certificate: pem("CERTIFICATE", der), key: privatePem(privateKey) };
}

function newServerCertificate(authority: Pair, now: number): Pair {
  const names = sequence(...SERVER_NAMES.map(generalName));
  return issue(authority, now, {
    commonName: "kube-apiserver",
    usage: OID.serverAuth,
    more: [extension(OID.subjectAlternativeName, false, names)],
  });
}

/**
 * A certificate that a user shows to the API server, signed with the authority's key (`pki/ca.key` of a cluster's
 * directory). PEM texts.
 */
export function issueClientCertificate(
  authority: { readonly certificate: string; readonly key: string },
  commonName: string,
  now: number,
): { readonly certificate: string; readonly key: string } {
  return issue(authority, now, { commonName, usage: OID.clientAuth, more: [] });
}

/** A certificate of an end (no authority of its own), with a new key. */
function issue(
  authority: Pair,
  now: number,
  facts: { readonly commonName: string; readonly usage: string; readonly more: readonly Buffer[] },
): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const parsed = new X509Certificate(authority.certificate);
  const der = certificateDer({
    subject: distinguishedName(facts.commonName),
    issuer: distinguishedName(/^CN=(.*)$/m.exec(parsed.subject)?.[1] ?? "slipway"),
    publicKey,
    signingKey: createPrivateKey(authority.key),
    now,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      // digitalSignature (bit 0): one byte 1000 0000 with seven unused bits.
      extension(OID.keyUsage, true, bitString(Buffer.from([0x80]), 7)),
      extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(facts.usage))),
      extension(OID.authorityKeyIdentifier, false, sequence(context(0, keyIdentifier(parsed.publicKey)))),
      ...facts.more,
    ],
  });
  return { certificate: pem("CERTIFICATE", der), key: privatePem(privateKey) };
}

function certificateDer(facts: {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly now: number;
  readonly extensions: readonly Buffer[];
}): Buffer {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const body = sequence(
    contextConstructed(0, integer(Buffer.from([2]))), // version 3
    integer(serialNumber(facts.publicKey)),
    algorithm,
    facts.issuer,
    // An hour back: another machine's clock may be behind ours.
    sequence(time(facts.now - 3_600_000), time(facts.now + VALID_DAYS * DAY_MS)),
    facts.subject,
    facts.publicKey.export({ type: "spki", format: "der" }),
    contextConstructed(3, sequence(...facts.extensions)),
  );
  return sequence(body, algorithm, bitString(sign("sha256", body, facts.signingKey), 0));
}

/**
 * Unique because the key is: 16 bytes of its hash. The first is made to lie between 0x40 and 0x7f, so that the
 * number is positive and has no leading zero to strip.
 */
function serialNumber(publicKey: KeyObject): Buffer {
  const hash = createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
  const serial = hash.subarray(0, 16);
  serial[0] = 0x40 | ((serial[0] as number) & 0x3f);
  return serial;
}

/** RFC 5280, 4.2.1.2, method 1: SHA-1 of the public key's bits, without the algorithm around them. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ type: "spki", format: "der" });
  // A P-256 key ends with its uncompressed point of 65 bytes.
  return createHash("sha1").update(spki.subarray(-65)).digest();
}

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAlternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

const sequence = (...items: readonly Buffer[]): Buffer => der(0x30, ...items);
const integer = (bytes: Buffer): Buffer => der(0x02, bytes);
const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));
const octetString = (bytes: Buffer): Buffer => der(0x04, bytes);
const bitString = (bytes: Buffer, unusedBits: number): Buffer => der(0x03, Buffer.from([unusedBits]), bytes);
const context = (tag: number, bytes: Buffer): Buffer => der(0x80 | tag, bytes);
const contextConstructed = (tag: number, item: Buffer): Buffer => der(0xa0 | tag, item);

function objectIdentifier(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime from 2050, as RFC 5280 demands. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14);
  return digits < "2050"
    ? der(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : der(0x18, Buffer.from(`${digits}Z`));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(objectIdentifier(OID.commonName), der(0x0c, Buffer.from(commonName)))));
}

function extension(oid: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), ...(isCritical ? [boolean(true)] : []), octetString(value));
}

function generalName(name: string): Buffer {
  return isIPv4(name) ? context(7, Buffer.from(name.split(".").map(Number))) : context(2, Buffer.from(name));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function privatePem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}
