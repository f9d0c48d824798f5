/**
 * CRC-32 as zlib computes it, in less time.
 *
 * Node's own takes in a byte a cycle, and of every page that a backup keeps it was what took longest. Here blocks are folded
 * with vectors first (crc32-module.ts). Where WebAssembly has none, and for what is no whole block, zlib's is used.
 */
import { crc32 as crc32OfZlib } from "node:zlib";
import { BLOCK_AT, BLOCK_BYTES, encodeModule, TABLES_AT } from "./crc32-module.ts";

type Folder = {
  /** Takes a block; `run` changes it. */
  readonly block: Uint8Array;
  readonly run: (before: number) => number;
};

/** What is used of it: the types of Node.js leave its values out. */
declare const WebAssembly: {
  readonly validate: (module: Uint8Array) => boolean;
  readonly Module: new (module: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly run: Folder["run"] } };
};

const POLYNOMIAL = 0xedb88320;
const folder = makeFolder();

/** The CRC-32 of bytes, 0 to 2^32 - 1; `before` is that of the bytes that come before them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (folder === undefined || bytes.byteLength < BLOCK_BYTES) return crc32OfZlib(bytes, before);
  let crc = before;
  let at = 0;
  for (; bytes.byteLength - at >= BLOCK_BYTES; at += BLOCK_BYTES) {
    folder.block.set(bytes.byteLength === BLOCK_BYTES ? bytes : bytes.subarray(at, at + BLOCK_BYTES));
    crc = folder.run(crc) >>> 0;
  }
  return at === bytes.byteLength ? crc : crc32OfZlib(bytes.subarray(at), crc);
}

/** True where blocks are folded. */
export const foldsBlocks: boolean = folder !== undefined;

function makeFolder(): Folder | undefined {
  const module = encodeModule();
  if (!WebAssembly.validate(module)) return undefined;
  const { memory, run } = new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  new Int32Array(memory.buffer, TABLES_AT, 8 * 256).set(makeTables());
  return { block: new Uint8Array(memory.buffer, BLOCK_AT, BLOCK_BYTES), run };
}

/** Table k holds the effect of a byte that lies k bytes before the end of a step. */
function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const shorter = tables[at - 256] ?? 0;
    tables[at] = (tables[shorter & 0xff] ?? 0) ^ (shorter >>> 8);
  }
  return tables;
}
