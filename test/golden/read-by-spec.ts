/**
 * Reads a vault by docs/formats/vault.md and docs/formats/manifest.md alone: nothing of `src` is imported, on purpose.
 *
 * It shows that the pages are complete and that what lies in a vault can be had without the program that wrote it. It
 * trusts what opens and throws on what does not; memory holds everything at once.
 */
import { argon2Sync, createDecipheriv, hkdfSync } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";

/** The objects of a vault by name. */
export type Objects = ReadonlyMap<string, Buffer>;

/** What opens it: the passphrase, or the recovery key as it was printed. */
export type Secret = { readonly passphrase: string } | { readonly recoveryKey: string };

/** One backup: its announcement, first and last line of its manifest, and every file by path. */
export type ReadBackup = {
  readonly record: object;
  readonly header: object;
  readonly end: object;
  readonly files: ReadonlyMap<string, ReadFile>;
};

/** A file with its line of the manifest; folders and links have no content. */
export type ReadFile = { readonly line: Line; readonly content: Buffer; readonly fingerprints: Buffer };

/** A line of a manifest, as far as restoring needs it. */
type Line = {
  readonly kind: string;
  readonly path: string;
  readonly mode: number;
  readonly modifiedS: number;
  readonly target?: string;
  readonly sizeBytes?: number;
  readonly pieces?: readonly number[];
  readonly fingerprints?: readonly number[];
  readonly extents?: readonly number[];
};
type PackLine = {
  readonly kind: "pack";
  readonly id: string;
  readonly keyId: string;
  readonly chunks: readonly number[];
};
type Method = {
  readonly kind: string;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly salt?: string;
  readonly sealed: string;
};
type Wrap = {
  readonly version: number;
  readonly keyId: string;
  readonly createdAt: string;
  readonly label?: string;
  readonly method: Method;
};
type Keys = ReadonlyMap<string, Buffer>;

/** Opens a vault: data keys by id. */
export function openBySpec(objects: Objects, secret: Secret): Keys {
  const { vaultId } = JSON.parse(`${present(objects.get("vault.json"))}`) as { readonly vaultId: string };
  const keys = new Map<string, Buffer>();
  for (const [name, bytes] of objects) {
    if (!name.startsWith("keys/")) continue;
    const { version, keyId, createdAt, label, method } = JSON.parse(`${bytes}`) as Wrap;
    const wrappingKey = deriveWrappingKey(method, secret);
    if (wrappingKey === undefined) continue;
    const lines = [`lifeboat key wrap v${version}`, vaultId, keyId, createdAt];
    const meaning = Buffer.from([...lines, ...(version === 1 ? [] : [label])].join("\n"));
    const sealed = Buffer.from(method.sealed, "base64");
    try {
      keys.set(keyId, openFrame(wrappingKey, { space: 0, ordinal: 0, meaning, sealed }));
    } catch {
      // For another holder of that kind.
    }
  }
  return keys;
}

/** The plain content of a blob. */
export function blobBySpec(objects: Objects, keys: Keys, name: string): Buffer {
  const bytes = present(objects.get(name));
  if (bytes.toString("latin1", 0, 8) !== "LIFEBOAT" || bytes[8] !== 1 || bytes[9] !== 1) throw new Error("no blob");
  const key = objectKey(keys, bytes.toString("hex", 16, 32), bytes.subarray(32, 48));
  const parts: Buffer[] = [];
  for (let at = 48, ordinal = 0; ; ordinal += 1) {
    const header = bytes.subarray(at, at + 12);
    const end = at + 12 + header.readUInt32LE(0);
    const meaning = Buffer.concat([header, Buffer.from(name)]);
    const packed = openFrame(key, { space: 0, ordinal, meaning, sealed: bytes.subarray(at + 12, end) });
    parts.push(decompress(packed, header.readUInt8(8), header.readUInt32LE(4)));
    at = end;
    if (header[9] !== 1) continue;
    if (at !== bytes.byteLength) throw new Error("bytes follow the last frame");
    return Buffer.concat(parts);
  }
}

/** Every announced backup, whole. */
export function backupsBySpec(objects: Objects, keys: Keys): readonly ReadBackup[] {
  const announced = [...objects.keys()].filter((name) => /^backups\/\d+\/[^/]+\/announced$/.test(name));
  return announced.map((name) => readBackup(objects, keys, name));
}

/** Every chunk that the index of a pack names, opened, in order. */
export function packBySpec(objects: Objects, keys: Keys, name: string): readonly Buffer[] {
  const bytes = present(objects.get(name));
  const footer = bytes.subarray(-16);
  if (bytes[9] !== 2 || footer.toString("latin1", 8) !== "LBPACKv1") throw new Error("no pack");
  const key = objectKey(keys, bytes.toString("hex", 16, 32), Buffer.from(name.slice(-32), "hex"));
  const sealed = bytes.subarray(-16 - footer.readUInt32LE(0), -16);
  const index = openFrame(key, { space: 1, ordinal: 0, meaning: footer, sealed });
  return Array.from({ length: footer.readUInt32LE(4) }, (_, ordinal) => {
    const entry = [0, 4, 8, 12].map((field) => index.readUInt32LE(ordinal * 16 + field));
    return openChunk(key, bytes, [ordinal, ...entry]);
  });
}

function readBackup(objects: Objects, keys: Keys, announced: string): ReadBackup {
  const record = JSON.parse(`${blobBySpec(objects, keys, announced)}`) as object;
  const text = blobBySpec(objects, keys, announced.replace(/announced$/, "manifest")).toString("utf8");
  const lines = text.split("\n").map((line) => JSON.parse(line === "" ? "{}" : line) as Line | PackLine);
  const [header, end] = [present(lines[0]), present(lines.at(-2))];
  if (header.kind !== "manifest" || end.kind !== "end") throw new Error("the manifest is not whole");
  const chunks = new Map<number, Buffer>();
  for (const line of lines) {
    if (!isPack(line)) continue;
    const bytes = present(objects.get(`packs/${line.id.slice(0, 2)}/${line.id}`));
    const key = objectKey(keys, line.keyId, Buffer.from(line.id, "hex"));
    for (const [number = -1, ...place] of runs(line.chunks, 6)) chunks.set(number, openChunk(key, bytes, place));
  }
  const files = new Map<string, ReadFile>();
  for (const line of lines.slice(1, -2)) {
    if (isPack(line)) continue;
    const { extents, pieces = [], sizeBytes = 0 } = line;
    const content = extents === undefined ? joinPieces(chunks, pieces) : joinExtents(chunks, extents);
    if (content.byteLength !== sizeBytes) throw new Error(`${line.path} has a wrong length`);
    files.set(line.path, { line, content, fingerprints: joinPieces(chunks, line.fingerprints ?? []) });
  }
  return { record, header, end, files };
}

function isPack(line: Line | PackLine): line is PackLine {
  return line.kind === "pack";
}

function joinExtents(chunks: ReadonlyMap<number, Buffer>, extents: readonly number[]): Buffer {
  const parts = runs(extents, 4).map(([, pages = 0, chunk = 0, first = 0]) => {
    if (chunk === -1) return Buffer.alloc(pages * 8192);
    return present(chunks.get(chunk)).subarray(first * 8192, (first + pages) * 8192);
  });
  return Buffer.concat(parts);
}

function joinPieces(chunks: ReadonlyMap<number, Buffer>, pieces: readonly number[]): Buffer {
  const parts = runs(pieces, 3).map(([chunk = 0, from = 0, length = 0]) =>
    present(chunks.get(chunk)).subarray(from, from + length),
  );
  return Buffer.concat(parts);
}

function openChunk(key: Buffer, pack: Buffer, place: readonly number[]): Buffer {
  const [ordinal = 0, offset = 0, sealedBytes = 0, plainBytes = 0, codec = 0] = place;
  const meaning = Buffer.alloc(8);
  meaning.writeUInt32LE(plainBytes, 0);
  meaning.writeUInt32LE(codec, 4);
  const sealed = pack.subarray(offset, offset + sealedBytes);
  return decompress(openFrame(key, { space: 0, ordinal, meaning, sealed }), codec, plainBytes);
}

function openFrame(
  key: Buffer,
  frame: { readonly space: number; readonly ordinal: number; readonly meaning: Buffer; readonly sealed: Buffer },
): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(frame.ordinal), 0);
  nonce.writeUInt32LE(frame.space, 8);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(frame.meaning);
  decipher.setAuthTag(frame.sealed.subarray(-16));
  return Buffer.concat([decipher.update(frame.sealed.subarray(0, -16)), decipher.final()]);
}

function decompress(packed: Buffer, codec: number, plainBytes: number): Buffer {
  const plain = codec === 1 ? zstdDecompressSync(packed) : packed;
  if (codec > 1 || plain.byteLength !== plainBytes) throw new Error("a frame does not decompress");
  return plain;
}

function objectKey(keys: Keys, keyId: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", present(keys.get(keyId)), salt, "lifeboat object key v1", 32));
}

function deriveWrappingKey(method: Method, secret: Secret): Buffer | undefined {
  const salt = Buffer.from(method.salt ?? "", "base64");
  if (method.kind === "recovery-key" && "recoveryKey" in secret) {
    return Buffer.from(hkdfSync("sha256", recoveryKeyBytes(secret.recoveryKey), salt, "lifeboat recovery key v1", 32));
  }
  if (method.kind !== "passphrase" || !("passphrase" in secret)) return undefined;
  const message = Buffer.from(secret.passphrase.normalize("NFC"));
  const { memoryKiB: memory, passes } = method;
  return argon2Sync("argon2id", { message, nonce: salt, memory, passes, parallelism: 1, tagLength: 32 });
}

function recoveryKeyBytes(typed: string): Buffer {
  const values = [...typed.replaceAll("-", "")].map((digit) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(digit));
  const digits = values.slice(0, 32);
  const check = digits.reduce((sum, value, place) => sum + (place + 2) * (value + 1), 0) % 1021;
  if (values[32] !== check >> 5 || values[33] !== check % 32) throw new Error("the check digits do not fit");
  const number = digits.reduce((bits, value) => bits * 32n + BigInt(value), 0n);
  return Buffer.from(number.toString(16).padStart(40, "0"), "hex");
}

function runs(numbers: readonly number[], length: number): readonly (readonly number[])[] {
  return Array.from({ length: numbers.length / length }, (_, run) => numbers.slice(run * length, (run + 1) * length));
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("something that is named is not there");
  return value;
}
