/**
 * Blobs: sealed objects that are read whole from front to back (manifests, WAL segments, records).
 *
 * Layout: header, then frames. A frame is 12 clear bytes (sealed length, plain length, codec, flags, two zeros) and its
 * sealed bytes. The clear bytes and the object's name are authenticated with each frame, and the last frame says that it is the
 * last: a blob that was cut, extended, reordered or renamed does not open.
 */
import type { RandomSource } from "../platform/random.ts";
import { type Codec, codecOf, compress, decompress } from "./codec.ts";
import { Decompressor } from "./decompressor.ts";
import { decodeHeader, encodeHeader, HEADER_BYTES, objectDamaged } from "./header.ts";
import {
  type DataKey,
  deriveObjectKey,
  type ObjectKey,
  openFrame,
  SALT_BYTES,
  sealFrame,
  TAG_BYTES,
} from "./sealing.ts";

/** Plain bytes of a frame: large enough to compress well, small enough to hold several. */
export const BLOB_FRAME_BYTES = 1024 * 1024;

const FRAME_HEADER_BYTES = 12;
/** Set in the last frame of a blob; the only flag there is. */
const LAST_FLAG = 1;

/** Seals `plain` as the object `name`. The parts are stored one after another. */
export async function sealBlob(
  blob: { readonly name: string; readonly plain: Uint8Array; readonly level: number },
  tools: { readonly dataKey: DataKey; readonly random: RandomSource },
): Promise<readonly Buffer[]> {
  const writer = new BlobWriter(blob, tools);
  for (let at = 0; at < blob.plain.byteLength; at += BLOB_FRAME_BYTES) {
    await writer.write(blob.plain.subarray(at, at + BLOB_FRAME_BYTES));
  }
  return writer.end();
}

/** Seals a blob piece by piece, for texts that are not at hand as a whole; what is kept in memory is the sealed form. */
export class BlobWriter {
  readonly #name: string;
  readonly #level: number;
  readonly #key: ObjectKey;
  readonly #parts: Buffer[];
  #ordinal = 0;

  constructor(
    blob: { readonly name: string; readonly level: number },
    tools: { readonly dataKey: DataKey; readonly random: RandomSource },
  ) {
    const salt = tools.random(SALT_BYTES);
    this.#name = blob.name;
    this.#level = blob.level;
    this.#key = deriveObjectKey(tools.dataKey, salt);
    this.#parts = [encodeHeader({ kind: "blob", keyId: tools.dataKey.id, salt })];
  }

  /** Adds a frame, which should have about BLOB_FRAME_BYTES. One call at a time. */
  write(plain: Uint8Array): Promise<void> {
    return this.#frame(plain, false);
  }

  /** Closes the blob and returns its parts. */
  async end(): Promise<readonly Buffer[]> {
    await this.#frame(new Uint8Array(0), true);
    return this.#parts;
  }

  async #frame(plain: Uint8Array, last: boolean): Promise<void> {
    const packed = await compress(plain, { level: this.#level });
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(packed.bytes.byteLength + TAG_BYTES, 0);
    header.writeUInt32LE(plain.byteLength, 4);
    header.writeUInt8(packed.codec, 8);
    header.writeUInt8(last ? LAST_FLAG : 0, 9);
    const number = { space: "data", ordinal: this.#ordinal } as const;
    const sealed = sealFrame(this.#key, { number, meaning: meaningOf(this.#name, header), plain: packed.bytes });
    this.#ordinal += 1;
    this.#parts.push(header, ...sealed);
  }
}

/** Which data key a blob needs. Throws `vault.object-damaged` for bytes that are no blob. */
export function blobKeyId(name: string, sealed: Buffer): DataKey["id"] {
  return decodeHeader(name, sealed, "blob").keyId;
}

/** Opens a blob, whole: into `into` and a view of that where it has the room. Throws `vault.object-damaged`. */
export async function openBlob(name: string, sealed: Buffer, dataKey: DataKey, into?: Buffer): Promise<Buffer> {
  if (into !== undefined && plainBytesOf(name, sealed) <= into.byteLength) {
    return openInto(into, openedFrames(name, sealed, dataKey));
  }
  const frames: Buffer[] = [];
  for await (const frame of openBlobFrames(name, sealed, dataKey)) frames.push(frame);
  return frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames);
}

/** Opens a blob frame by frame. Only when the iteration ends without an error was the blob whole. */
export async function* openBlobFrames(name: string, sealed: Buffer, dataKey: DataKey): AsyncGenerator<Buffer> {
  for (const { codec, bytes, plainBytes, fail } of openedFrames(name, sealed, dataKey)) {
    const plain = await decompress({ codec, bytes }, plainBytes);
    if (plain === undefined) throw fail("does not decompress");
    if (plain.byteLength > 0) yield plain;
  }
}

/** In this thread: a MiB takes a millisecond, and handing it to another would make garbage of what comes back. */
function openInto(into: Buffer, frames: Iterable<OpenedFrame>): Buffer {
  const decompressor = new Decompressor();
  let filled = 0;
  try {
    for (const { codec, bytes, plainBytes, fail } of frames) {
      const room = into.subarray(filled, filled + plainBytes);
      if (!decompressor.decompress({ codec, bytes }, room)) throw fail("does not decompress");
      filled += plainBytes;
    }
  } finally {
    decompressor.close();
  }
  return into.subarray(0, filled);
}

type OpenedFrame = {
  readonly codec: Codec;
  /** Opened, and still compressed. */
  readonly bytes: Buffer;
  readonly plainBytes: number;
  /** Damage of this frame. */
  readonly fail: (why: string) => Error;
};

function* openedFrames(name: string, sealed: Buffer, dataKey: DataKey): Generator<OpenedFrame> {
  const key = deriveObjectKey(dataKey, decodeHeader(name, sealed, "blob").salt);
  let at = HEADER_BYTES;
  for (let ordinal = 0; ; ordinal += 1) {
    const frame = readFrame(name, sealed, at);
    const fail = (why: string) => objectDamaged(name, `frame ${ordinal} ${why}`);
    const number = { space: "data", ordinal } as const;
    const bytes = openFrame(key, { number, meaning: meaningOf(name, frame.header), sealed: frame.sealed });
    if (bytes === undefined) throw fail("does not open");
    yield { codec: frame.codec, bytes, plainBytes: frame.plainBytes, fail };
    at = frame.end;
    if (frame.last) break;
  }
  if (at !== sealed.byteLength) throw objectDamaged(name, `${sealed.byteLength - at} bytes follow its end`);
}

/** What the frames say of themselves, before any was opened. */
function plainBytesOf(name: string, sealed: Buffer): number {
  let plainBytes = 0;
  for (let at = HEADER_BYTES; at < sealed.byteLength; ) {
    const frame = readFrame(name, sealed, at);
    plainBytes += frame.plainBytes;
    at = frame.end;
  }
  return plainBytes;
}

type Frame = {
  readonly header: Buffer;
  readonly sealed: Buffer;
  readonly plainBytes: number;
  readonly codec: Codec;
  readonly last: boolean;
  readonly end: number;
};

function readFrame(name: string, object: Buffer, at: number): Frame {
  const header = object.subarray(at, at + FRAME_HEADER_BYTES);
  if (header.byteLength < FRAME_HEADER_BYTES)
    throw objectDamaged(name, `it ends at byte ${object.byteLength}, inside a frame`);
  const end = at + FRAME_HEADER_BYTES + header.readUInt32LE(0);
  const codec = codecOf(header.readUInt8(8));
  const plainBytes = header.readUInt32LE(4);
  const flags = header.readUInt8(9);
  if (codec === undefined || plainBytes > BLOB_FRAME_BYTES || flags > LAST_FLAG || header.readUInt16LE(10) !== 0)
    throw objectDamaged(name, `the frame at byte ${at} is not one`);
  if (end > object.byteLength) throw objectDamaged(name, `it ends at byte ${object.byteLength}, inside a frame`);
  const sealed = object.subarray(at + FRAME_HEADER_BYTES, end);
  return { header, sealed, plainBytes, codec, last: flags === LAST_FLAG, end };
}

function meaningOf(name: string, frameHeader: Buffer): Buffer {
  return Buffer.concat([frameHeader, Buffer.from(name)]);
}
