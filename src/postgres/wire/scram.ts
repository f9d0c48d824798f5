/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side and what a server keeps, without any socket.
 *
 * Invariants: the password leaves this machine only as a proof; the server must prove that it knows the password too.
 * Sources: RFC 5802, RFC 7677, RFC 5929 (tls-server-end-point), RFC 4013 (SASLprep).
 */
import { createHash, createHmac, pbkdf2, pbkdf2Sync, timingSafeEqual, type X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { LifeboatError } from "../../errors/error.ts";

/** What PostgreSQL makes its secrets with. */
const ITERATIONS = 4_096;

/** A server asks for as many unless told otherwise. More than this would keep a core busy for seconds. */
const ITERATIONS_MAX = 1_000_000;

/** How much of the exchange the transport can vouch for. */
export type ChannelBinding =
  /** No TLS, or a certificate whose binding hash is not defined. */
  | { readonly kind: "none" }
  /** Hash of the server's certificate. */
  | { readonly kind: "certificate"; readonly hash: Buffer };

/** What was sent first. */
export type ScramStart = {
  readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";
  readonly initial: string;
  readonly bare: string;
  /** Base64 of header and binding data, repeated in the last message. */
  readonly binding: string;
  readonly nonce: string;
};

/** Chooses a mechanism and makes the first message. `nonce` is printable, without commas. */
export function beginScram(request: {
  readonly offered: readonly string[];
  readonly binding: ChannelBinding;
  readonly nonce: string;
}): ScramStart {
  const { offered, binding, nonce } = request;
  const bare = `n=,r=${nonce}`;
  if (binding.kind === "certificate" && offered.includes("SCRAM-SHA-256-PLUS")) {
    const header = "p=tls-server-end-point,,";
    const data = Buffer.concat([Buffer.from(header), binding.hash]).toString("base64");
    return { mechanism: "SCRAM-SHA-256-PLUS", initial: header + bare, bare, binding: data, nonce };
  }
  if (!offered.includes("SCRAM-SHA-256")) throw refused(`the server offers only ${offered.join(", ")}`);
  // "y" tells the server that we would have bound the channel, so that it can notice an offer that was cut short on the way.
  const header = binding.kind === "certificate" ? "y,," : "n,,";
  const data = Buffer.from(header).toString("base64");
  return { mechanism: "SCRAM-SHA-256", initial: header + bare, bare, binding: data, nonce };
}

/** Answers the server's challenge. `serverSignature` is what the server must send last. */
export async function answerScram(
  start: ScramStart,
  request: { readonly password: string; readonly challenge: string },
): Promise<{ readonly response: string; readonly serverSignature: Buffer }> {
  const { nonce, salt, iterations } = readChallenge(request.challenge, start.nonce);
  const salted = await promisify(pbkdf2)(prepare(request.password), salt, iterations, 32, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const withoutProof = `c=${start.binding},r=${nonce}`;
  const signed = `${start.bare},${request.challenge},${withoutProof}`;
  const signature = hmac(createHash("sha256").update(clientKey).digest(), signed);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
  return {
    response: `${withoutProof},p=${proof.toString("base64")}`,
    serverSignature: hmac(hmac(salted, "Server Key"), signed),
  };
}

/** What a server keeps of a password, as PostgreSQL writes it: from it nobody can log in, and whoever logs in is known. Pure. */
export function scramSecret(of: { readonly password: string; readonly salt: Buffer }): string {
  const salted = pbkdf2Sync(prepare(of.password), of.salt, ITERATIONS, 32, "sha256");
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
  const serverKey = hmac(salted, "Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${of.salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/** Throws `postgres.login-refused` unless the server proved that it knows the password. */
export function verifyScram(serverSignature: Buffer, last: string): void {
  const match = /^v=([A-Za-z0-9+/=]+)/.exec(last);
  const sent = Buffer.from(match?.[1] ?? "", "base64");
  if (sent.byteLength !== serverSignature.byteLength || !timingSafeEqual(sent, serverSignature)) {
    throw refused("the server could not prove that it knows the password");
  }
}

/** The binding of a TLS session to its server certificate; none where the certificate's hash is not one of the plain ones. */
export function certificateBinding(certificate: X509Certificate | undefined): ChannelBinding {
  // Node before 24.9 does not tell the algorithm.
  const oid: string | undefined = certificate?.signatureAlgorithmOid;
  const algorithm = oid === undefined ? undefined : BINDING_HASH[oid];
  if (certificate === undefined || algorithm === undefined) return { kind: "none" };
  return { kind: "certificate", hash: createHash(algorithm).update(certificate.raw).digest() };
}

/** Hash of a certificate's signature algorithm; RFC 5929 has SHA-256 stand in for MD5 and SHA-1. */
const BINDING_HASH: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.4": "sha256", // md5WithRSA
  "1.2.840.113549.1.1.5": "sha256", // sha1WithRSA
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.1": "sha256", // ecdsa with SHA-1
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
};

function readChallenge(
  challenge: string,
  ours: string,
): { readonly nonce: string; readonly salt: Buffer; readonly iterations: number } {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+=*),i=([1-9][0-9]{0,9})(?:,|$)/.exec(challenge);
  const nonce = match?.[1] ?? "";
  const iterations = Number(match?.[3]);
  if (match === null || !nonce.startsWith(ours) || nonce.length === ours.length) {
    throw refused("the server's SCRAM challenge is malformed or answers another login");
  }
  if (iterations > ITERATIONS_MAX) {
    throw refused(`the server asks for ${iterations} SCRAM rounds, allowed are ${ITERATIONS_MAX}`);
  }
  return { nonce, salt: Buffer.from(match[2] ?? "", "base64"), iterations };
}

/** SASLprep as PostgreSQL does it: what may not be prepared is taken as it is. */
function prepare(password: string): string {
  if (/[\p{Cc}\p{Co}\p{Cs}\p{Cn}]/u.test(password)) return password;
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, " ")
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu, "")
    .normalize("NFKC");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function refused(message: string): LifeboatError {
  return new LifeboatError("postgres.login-refused", {
    message: `login refused: ${message}`,
    remedy:
      "Check that this is the server you mean; if it is, give the role a SCRAM password with ALTER ROLE … PASSWORD.",
  });
}
