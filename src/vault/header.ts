/**
 * The first 48 bytes of every sealed object: what it is, which data key opens it, and its salt.
 */
import { LifeboatError } from "../errors/error.ts";
import type { KeyId } from "./names.ts";
import { SALT_BYTES } from "./sealing.ts";

/** What lies behind a header. The number is what lies in the vault. */
export const OBJECT_KIND = { blob: 1, pack: 2 } as const;

export type ObjectKind = keyof typeof OBJECT_KIND;

export type ObjectHeader = { readonly kind: ObjectKind; readonly keyId: KeyId; readonly salt: Buffer };

export const HEADER_BYTES = 48;

/** The version of every format of the vault that this program writes, and the newest it reads. */
export const FORMAT_VERSION = 1;
const MAGIC = Buffer.from("LIFEBOAT");

export function encodeHeader(header: ObjectHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt8(FORMAT_VERSION, 8);
  bytes.writeUInt8(OBJECT_KIND[header.kind], 9);
  Buffer.from(header.keyId, "hex").copy(bytes, 16);
  header.salt.copy(bytes, 32);
  return bytes;
}

/** Reads a header. Throws `vault.object-damaged` when it is none, `vault.format-unknown` when it is from a later version. */
export function decodeHeader(name: string, bytes: Buffer, expected: ObjectKind): ObjectHeader {
  if (bytes.byteLength < HEADER_BYTES || !bytes.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
    throw objectDamaged(name, "it does not begin with a Lifeboat header");
  }
  const version = bytes.readUInt8(8);
  if (version !== FORMAT_VERSION) throw formatUnknown(`object ${name}`, version);
  if (bytes.readUIntBE(10, 6) !== 0) throw objectDamaged(name, "its header has bits that version 1 does not set");
  if (bytes.readUInt8(9) !== OBJECT_KIND[expected]) {
    throw objectDamaged(name, `it is of kind ${bytes.readUInt8(9)}, not ${expected}`);
  }
  return {
    kind: expected,
    keyId: bytes.toString("hex", 16, 32) as KeyId,
    salt: Buffer.from(bytes.subarray(32, 32 + SALT_BYTES)),
  };
}

/** The error of something that only a later program can read; `what` names it. */
export function formatUnknown(what: string, version: number): LifeboatError {
  return new LifeboatError("vault.format-unknown", {
    message: `${what} has format version ${version}, this program reads version ${FORMAT_VERSION}`,
    remedy: "Use a newer Lifeboat to read this vault.",
  });
}

/** The error of an object whose bytes are not what was stored. */
export function objectDamaged(name: string, why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("vault.object-damaged", {
    message: `object ${name} is damaged: ${why}`,
    remedy:
      "Run `lifeboat vault check` to see what can still be restored, and copy this object back from another copy of the vault.",
    cause,
    details: { object: name },
  });
}

/** The error of an object that the vault's records name and the store does not have. */
export function objectMissing(name: string, cause?: unknown): LifeboatError {
  return new LifeboatError("vault.object-missing", {
    message: `object ${name} is named by the vault's records and is not there`,
    remedy:
      "Run `lifeboat vault check` to see what can still be restored, and copy this object back from another copy of the vault.",
    cause,
    details: { object: name },
  });
}
