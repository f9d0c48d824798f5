/**
 * Who may open a vault.
 *
 * Nouns: a *data key* seals the data; a *wrap* is a data key sealed under something a person keeps: a passphrase, or the
 * recovery key that `vault init` prints once; an `open` wrap holds the data key in clear, for a vault whose owner chose
 * not to encrypt (every byte is still authenticated). Wraps for age recipients are in key-age.ts, adding and removing
 * wraps in key-ring.ts.
 * Invariants: a wrap is bound to its vault and to the time it says it was made; a passphrase is stretched by argon2id
 * before it opens anything; nothing that opens a vault is ever written to its store in clear unless the vault is open by
 * choice, and an open wrap counts only for who says so: whoever can write to the store could plant one.
 * Source: RFC 9106 (argon2).
 */
import { argon2, hkdfSync } from "node:crypto";
import { z } from "zod";
import { assert, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { RandomSource } from "../platform/random.ts";
import type { KeyId } from "./names.ts";
import { type DataKey, type ObjectKey, objectKey, openFrame, sealFrame, TAG_BYTES } from "./sealing.ts";

/** What opens a wrap. */
export type VaultSecret =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  | { readonly kind: "recovery-key"; readonly recoveryKey: string }
  /** The text of an age identity file. */
  | { readonly kind: "identity"; readonly identities: string }
  | { readonly kind: "open" };

/** A secret that one wrap by itself is sealed under and opened with. */
export type WrapSecret = Exclude<VaultSecret, { kind: "identity" }>;

/** Work factors of argon2id, kept in the wrap: memory in KiB, and passes over it (RFC 9106, section 3.1). */
export type StretchCost = { readonly memoryKiB: number; readonly passes: number };
/** 64 MiB and 3 passes take about a third of a second, once a command. */
export const STRETCH_COST: StretchCost = { memoryKiB: 65_536, passes: 3 };
/** For a passphrase of random bytes: the least that argon2id takes. */
export const NO_STRETCH: StretchCost = { memoryKiB: 8, passes: 1 };
/** Bounds on what a wrap may ask of us, so that a planted wrap cannot exhaust the machine. */
const ARGON2_MEMORY_KIB_MAX = 1_048_576;
const ARGON2_PASSES_MAX = 64;

const RECOVERY_KEY_BYTES = 20;
const RECOVERY_INFO = Buffer.from("lifeboat recovery key v1");
const DATA_KEY_BYTES = 32;

/** Binary fields of a fixed length, as base64 with padding. */
const base64 = (lengthBytes: number) =>
  z
    .base64()
    .transform((text) => Buffer.from(text, "base64"))
    .refine((bytes) => bytes.byteLength === lengthBytes);

const WRAP_SALT_BYTES = 16;
const salt = base64(WRAP_SALT_BYTES);
const sealed = base64(DATA_KEY_BYTES + TAG_BYTES);

/** An age file around 32 bytes: about 300 for X25519, 2100 for the post-quantum kind; this is room, and a bound. */
const AGE_FILE_BASE64_MAX = 16_384;
/** A label is for one line of a listing. */
export const KEY_LABEL_LENGTH_MAX = 60;
/** Data keys of a vault that vouch for one another; a rotation a month fills this in five years. */
export const DATA_KEYS_MAX = 64;

const keyId = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .transform((text) => text as KeyId);
const passphraseMethod = z.strictObject({
  kind: z.literal("passphrase"),
  kdf: z.literal("argon2id"),
  memoryKiB: z.number().int().min(8).max(ARGON2_MEMORY_KIB_MAX),
  passes: z.number().int().min(1).max(ARGON2_PASSES_MAX),
  salt,
  sealed,
});
const recoveryMethod = z.strictObject({ kind: z.literal("recovery-key"), salt, sealed });
const openMethod = z.strictObject({ kind: z.literal("open"), secret: base64(DATA_KEY_BYTES) });
const ageMethod = z.strictObject({
  kind: z.literal("age"),
  recipient: z.string().regex(/^age1[0-9a-z]{1,4096}$/),
  file: z
    .base64()
    .max(AGE_FILE_BASE64_MAX)
    .transform((text) => Buffer.from(text, "base64")),
  vouchers: z.array(z.strictObject({ by: keyId, mac: base64(32) })).max(DATA_KEYS_MAX),
});
const wrapHead = { format: z.literal("lifeboat-key-wrap"), keyId, createdAt: z.iso.datetime() };

const wrapSchema = z.discriminatedUnion("version", [
  z.strictObject({
    ...wrapHead,
    version: z.literal(1),
    method: z.discriminatedUnion("kind", [passphraseMethod, recoveryMethod, openMethod]),
  }),
  z.strictObject({
    ...wrapHead,
    version: z.literal(2),
    label: z.string().refine(isKeyLabel),
    method: z.discriminatedUnion("kind", [passphraseMethod, recoveryMethod, ageMethod]),
  }),
]);

/** A wrap as it lies in the vault. */
export type KeyWrap = z.output<typeof wrapSchema>;

/** True for a text that may label a wrap: one short line without control characters. */
export function isKeyLabel(text: string): boolean {
  return text.length <= KEY_LABEL_LENGTH_MAX && !/\p{Cc}/u.test(text);
}

/** Makes a new data key. */
export function createDataKey(random: RandomSource): DataKey {
  return { id: random(16).toString("hex") as KeyId, secret: random(DATA_KEY_BYTES) };
}

/** Makes a recovery key: 160 random bits in groups of four characters that are hard to misread. */
export function createRecoveryKey(random: RandomSource): string {
  const bytes = random(RECOVERY_KEY_BYTES);
  const text = encodeBase32(bytes);
  return `${text}${checkCharacters(text)}`.replace(/(.{4})(?=.)/g, "$1-");
}

/** Seals a data key under a secret; the result is the text to store: version 2 when there is a label, else 1. */
export async function wrapDataKey(
  wrap: {
    readonly vaultId: string;
    readonly dataKey: DataKey;
    readonly secret: WrapSecret;
    readonly now: Instant;
    readonly label?: string | undefined;
    /** Of a passphrase. Default: what takes a third of a second. */
    readonly stretchCost?: StretchCost | undefined;
  },
  random: RandomSource,
): Promise<Buffer> {
  const { dataKey, secret, vaultId, label } = wrap;
  const head = { keyId: dataKey.id, createdAt: formatInstant(wrap.now) };
  const base = {
    format: "lifeboat-key-wrap",
    ...(label === undefined ? { version: 1, ...head } : { version: 2, ...head, label }),
  };
  if (secret.kind === "open") {
    assert(label === undefined, "an open wrap has no label");
    return encodeKeyJson({ ...base, method: { kind: "open", secret: dataKey.secret.toString("base64") } });
  }
  const salt = random(WRAP_SALT_BYTES);
  const facts = { ...(wrap.stretchCost ?? STRETCH_COST), salt };
  const wrappingKey = await deriveWrappingKey(secret, facts);
  const sealed = sealFrame(wrappingKey, {
    number: WRAP_FRAME,
    meaning: wrapMeaning({ ...head, label, vaultId }),
    plain: dataKey.secret,
  });
  const common = { salt: salt.toString("base64"), sealed: Buffer.concat(sealed).toString("base64") };
  const method =
    secret.kind === "passphrase"
      ? { kind: "passphrase", kdf: "argon2id", memoryKiB: facts.memoryKiB, passes: facts.passes, ...common }
      : { kind: "recovery-key", ...common };
  return encodeKeyJson({ ...base, method });
}

/** Reads a wrap from the vault; undefined when the bytes are none. */
export function parseWrap(bytes: Buffer): KeyWrap | undefined {
  try {
    return wrapSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    // Both a syntax error and a schema error mean the same to the caller, who knows the object's name.
    return undefined;
  }
}

/** Opens a wrap; undefined when the secret is of another kind or does not fit. For age see `openAgeWraps`. */
export async function openWrap(
  wrap: KeyWrap,
  tools: { readonly vaultId: string; readonly secret: WrapSecret },
): Promise<DataKey | undefined> {
  const { method, keyId: id } = wrap;
  if (method.kind === "age") return undefined;
  if (method.kind === "open") return tools.secret.kind === "open" ? { id, secret: method.secret } : undefined;
  if (tools.secret.kind !== method.kind) return undefined;
  const stretch = method.kind === "passphrase" ? method : { memoryKiB: 0, passes: 0, salt: method.salt };
  const wrappingKey = await deriveWrappingKey(tools.secret, stretch);
  const meaning = wrapMeaning({ ...wrap, label: labelOf(wrap), vaultId: tools.vaultId });
  const secret = openFrame(wrappingKey, { number: WRAP_FRAME, meaning, sealed: method.sealed });
  return secret === undefined ? undefined : { id, secret };
}

const WRAP_FRAME = { space: "data", ordinal: 0 } as const;

/** The label of a wrap; wraps of version 1 have none. */
export function labelOf(wrap: KeyWrap): string | undefined {
  return wrap.version === 1 ? undefined : wrap.label;
}

/** What a wrap is bound to, as its tag or its vouchers authenticate it. */
export function wrapMeaning(bound: {
  readonly vaultId: string;
  readonly keyId: string;
  readonly createdAt: string;
  readonly label: string | undefined;
}): Buffer {
  const common = `${bound.vaultId}\n${bound.keyId}\n${bound.createdAt}`;
  if (bound.label === undefined) return Buffer.from(`lifeboat key wrap v1\n${common}`);
  return Buffer.from(`lifeboat key wrap v2\n${common}\n${bound.label}`);
}

async function deriveWrappingKey(
  secret: Exclude<WrapSecret, { kind: "open" }>,
  stretch: { readonly memoryKiB: number; readonly passes: number; readonly salt: Buffer },
): Promise<ObjectKey> {
  if (secret.kind === "recovery-key") {
    const bytes = parseRecoveryKey(secret.recoveryKey);
    return objectKey(Buffer.from(hkdfSync("sha256", bytes, stretch.salt, RECOVERY_INFO, DATA_KEY_BYTES)));
  }
  const key = await new Promise<Buffer>((resolve, reject) => {
    const parameters = {
      message: Buffer.from(secret.passphrase.normalize("NFC"), "utf8"),
      nonce: stretch.salt,
      parallelism: 1,
      tagLength: DATA_KEY_BYTES,
      memory: stretch.memoryKiB,
      passes: stretch.passes,
    };
    argon2("argon2id", parameters, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
  return objectKey(key);
}

/** Crockford's alphabet: no I, L, O or U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

function encodeBase32(bytes: Buffer): string {
  let bits = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let digit = 0; digit < (bytes.byteLength * 8) / 5; digit += 1) {
    text = (ALPHABET[Number(bits & 31n)] ?? "") + text;
    bits >>= 5n;
  }
  return text;
}

/** Two characters that show a mistyped key before it is tried: a weighted sum modulo 1021, a prime. */
function checkCharacters(text: string): string {
  let sum = 0;
  for (const [place, character] of [...text].entries()) sum += (place + 2) * (ALPHABET.indexOf(character) + 1);
  const check = sum % 1021;
  return (ALPHABET[check >> 5] ?? "") + (ALPHABET[check & 31] ?? "");
}

function parseRecoveryKey(typed: string): Buffer {
  const text = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const digits = (RECOVERY_KEY_BYTES * 8) / 5;
  const body = text.slice(0, digits);
  const known = [...text].every((character) => ALPHABET.includes(character));
  if (text.length !== digits + 2 || !known || checkCharacters(body) !== text.slice(digits)) {
    throw new LifeboatError("vault.recovery-key-malformed", {
      message: `the recovery key has a typing mistake: ${text.length} characters of ${digits + 2} were read and the check characters do not fit`,
      remedy: "Type the recovery key again, exactly as `lifeboat vault init` printed it.",
    });
  }
  let bits = 0n;
  for (const character of body) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(character));
  return Buffer.from(bits.toString(16).padStart(RECOVERY_KEY_BYTES * 2, "0"), "hex");
}

/** A record of `keys/` as text. */
export function encodeKeyJson(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}
