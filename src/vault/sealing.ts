/**
 * Sealing: how bytes are made secret and tamper-evident before they reach a store.
 *
 * Nouns: a *data key* is the secret that all else hangs on; an *object key* is derived from it for one object only, by the
 * object's *salt*; a *frame* is one sealed run of bytes, AES-256-GCM, whose nonce is its number in the object.
 * Invariants: a salt is random and used for one object, so a (key, nonce) pair never seals two texts; what a frame means
 * (its number, lengths, codec, the object's name) is authenticated with it, so a frame moved elsewhere does not open.
 * Sources: NIST SP 800-38D (GCM), RFC 5869 (HKDF).
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { assert } from "../errors/error.ts";
import type { KeyId } from "./names.ts";

/** A data key, opened. */
export type DataKey = { readonly id: KeyId; readonly secret: Buffer };

/** The key of one object. Prepared once: handing the bytes over for each frame costs as much as the sealing of a small one. */
export type ObjectKey = KeyObject & { readonly brand: "ObjectKey" };

/** Bytes that sealing adds to a frame. */
export const TAG_BYTES = 16;

/** Bytes of a salt. */
export const SALT_BYTES = 16;

const DATA_KEY_BYTES = 32;
const DERIVE_INFO = Buffer.from("lifeboat object key v1");

/** Derives the key of the object that carries `salt`. */
export function deriveObjectKey(dataKey: DataKey, salt: Buffer): ObjectKey {
  assert(dataKey.secret.byteLength === DATA_KEY_BYTES, "a data key has 32 bytes");
  assert(salt.byteLength === SALT_BYTES, "a salt has 16 bytes");
  return objectKey(Buffer.from(hkdfSync("sha256", dataKey.secret, salt, DERIVE_INFO, DATA_KEY_BYTES)));
}

/** A key of these 32 bytes. */
export function objectKey(secret: Buffer): ObjectKey {
  assert(secret.byteLength === DATA_KEY_BYTES, "an object's key has 32 bytes");
  return createSecretKey(secret) as ObjectKey;
}

/** Derives a secret for another purpose, for example the name of content; `purpose` keeps them apart. */
export function derivePurposeKey(dataKey: DataKey, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", dataKey.secret, Buffer.alloc(0), Buffer.from(purpose), DATA_KEY_BYTES));
}

/** The key that content is named with: the HMAC-SHA-256 of a file's bytes, in hexadecimal digits. Prepared, like an object's. */
export function contentNameKey(dataKey: DataKey): KeyObject {
  return createSecretKey(derivePurposeKey(dataKey, "lifeboat content name v1"));
}

/** Which frame of its object this is. The index of a pack lives in a number space of its own. */
export type FrameNumber = { readonly space: "data" | "index"; readonly ordinal: number };

/** Seals a frame: the parts are ciphertext and tag, to be stored one after the other. */
export function sealFrame(
  key: ObjectKey,
  frame: { readonly number: FrameNumber; readonly meaning: Buffer; readonly plain: Uint8Array },
): readonly [Buffer, Buffer] {
  const cipher = createCipheriv("aes-256-gcm", key, nonceOf(frame.number));
  cipher.setAAD(frame.meaning);
  const sealed = cipher.update(frame.plain);
  cipher.final();
  return [sealed, cipher.getAuthTag()];
}

/** Opens what `sealFrame` made; undefined when it is not that frame, unharmed, under this key. */
export function openFrame(
  key: ObjectKey,
  frame: { readonly number: FrameNumber; readonly meaning: Buffer; readonly sealed: Uint8Array },
): Buffer | undefined {
  const length = frame.sealed.byteLength - TAG_BYTES;
  if (length < 0) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(frame.number));
  decipher.setAAD(frame.meaning);
  decipher.setAuthTag(frame.sealed.subarray(length));
  const plain = decipher.update(frame.sealed.subarray(0, length));
  try {
    decipher.final();
  } catch {
    // The only failure final() has is a tag that does not fit; the caller knows which object this was.
    return undefined;
  }
  return plain;
}

/**
 * Gives back the memory of what `openFrame` returned; nobody may look at it any more. Left to the garbage collector, each frame
 * is memory that was never touched before: a fifth more time, and tens of MiB at any moment.
 */
export function discardOpened(opened: Buffer): void {
  const { buffer } = opened;
  // Never memory that is shared with another buffer.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === opened.byteLength) buffer.transfer(0);
}

function nonceOf(number: FrameNumber): Buffer {
  assert(Number.isSafeInteger(number.ordinal) && number.ordinal >= 0, "a frame's number is a whole number");
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(number.ordinal), 0);
  nonce.writeUInt32LE(number.space === "data" ? 0 : 1, 8);
  return nonce;
}
