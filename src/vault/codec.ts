/**
 * Compression of frames, on the thread pool.
 */
import { constants, zstdCompress, zstdDecompress } from "node:zlib";

/** How a frame's bytes were compressed. The number is what lies in the vault. */
export const CODEC = { raw: 0, zstd: 1 } as const;

export type Codec = (typeof CODEC)[keyof typeof CODEC];

/** A frame's bytes as they will be sealed. */
export type Packed = { readonly codec: Codec; readonly bytes: Uint8Array };

/** How hard to compress: zstd's level, 1 to 19. */
export type CompressionChoice = { readonly level: number };

/** Compresses, or keeps the bytes when that saves nothing. `plain` must not change until the promise settles. */
export function compress(plain: Uint8Array, choice: CompressionChoice): Promise<Packed> {
  return new Promise((resolve, reject) => {
    const params: Record<number, number> = { [constants.ZSTD_c_compressionLevel]: choice.level };
    // The default of 16 KiB sends every chunk through the pool several times; a chunk of pages rarely needs more than this.
    const chunkSize = Math.min(Math.max(MIN_OUTPUT_BYTES, plain.byteLength), OUTPUT_BYTES_MAX);
    zstdCompress(plain, { chunkSize, params, pledgedSrcSize: plain.byteLength }, (error, bytes) => {
      if (error !== null) reject(error);
      else
        resolve(
          bytes.byteLength < plain.byteLength ? { codec: CODEC.zstd, bytes } : { codec: CODEC.raw, bytes: plain },
        );
    });
  });
}

/** Undoes `compress`. Undefined when the bytes do not decompress to exactly `plainBytes`. */
export function decompress(packed: Packed, plainBytes: number): Promise<Buffer | undefined> {
  if (packed.codec === CODEC.raw) {
    const plain = Buffer.from(packed.bytes.buffer, packed.bytes.byteOffset, packed.bytes.byteLength);
    return Promise.resolve(plain.byteLength === plainBytes ? plain : undefined);
  }
  return new Promise((resolve) => {
    // One byte more than comes out: a buffer that is filled to the end costs a second one and another turn in the pool.
    const chunkSize = Math.max(MIN_OUTPUT_BYTES, plainBytes + 1);
    const options = { chunkSize, maxOutputLength: Math.max(1, plainBytes) };
    zstdDecompress(packed.bytes, options, (error, bytes) => {
      resolve(error === null && bytes.byteLength === plainBytes ? bytes : undefined);
    });
  });
}

/** Reads a codec's number; undefined for one this version does not know. */
export function codecOf(value: number): Codec | undefined {
  return value === CODEC.raw || value === CODEC.zstd ? value : undefined;
}

/** Output buffers of the compressor: allocating less is worth a second pass for the few chunks that do not compress. */
const OUTPUT_BYTES_MAX = 64 * 1024;

/** The smallest output buffer zlib accepts. */
const MIN_OUTPUT_BYTES = 64;
