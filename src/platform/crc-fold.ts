/**
 * CRCs of 32 bits by vectors: three to four bytes a cycle, where tables take in one.
 *
 * Nouns: a *register* is a CRC under way, before its last inversion; a *word* is 16 bytes; a *fold* is a multiple of a CRC's
 * polynomial that is a sum of few powers of x^128. By it a word may be left out when it is added (XOR) to some words behind
 * it; read from the other side, each word gets what lies at some *distances* before it, as far as that was left out. So all
 * words are left out but the last, the *rest*, which goes through tables.
 * Node.js has CRC-32 by tables only and no CRC-32C, and a backup needs the one of every page and the other of all WAL. The
 * program is some 600 bytes of WebAssembly, put together below. It sees a copy of the bytes in its own memory.
 * Source: WebAssembly Core Specification 2.0, "Binary Format".
 */
import { assert } from "../errors/error.ts";

/** A CRC whose bits are reflected, and its fold: the exponents of x^128. Folds are found by search. */
export type FoldedCrc = { readonly polynomial: number; readonly exponents: readonly number[] };

/** Takes whole words into a register: at least FOLDED_BYTES_MIN bytes. */
export type FoldWords = (register: number, words: Uint8Array) => number;

/** Fewer are not worth it. More than a rest has. */
export const FOLDED_BYTES_MIN = 1024;

export const WORD_BYTES = 16;

/** Of what was given, this much is folded at a time: all of it stays in a core's nearest cache. */
const BLOCK_BYTES = 8192;
/** A last block may be longer, so that none is too short. */
const BLOCK_BYTES_MAX: number = BLOCK_BYTES + FOLDED_BYTES_MIN;

// The memory: zeros, for what the first words reach back to; the block; the rest; the tables.
const BLOCK_AT = 1024;
const REST_AT: number = BLOCK_AT + BLOCK_BYTES_MAX;
const TABLES_AT: number = REST_AT + FOLDED_BYTES_MIN;
const TABLE_COUNT = 8;
const TABLE_BYTES = 1024;

type Exports = {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** From a register, and where in the block the rest begins, to the register with the block. */
  readonly run: (register: number, restAt: number) => number;
};

/** What is used of it: the types of Node.js leave its values out. */
declare const WebAssembly: {
  readonly validate: (module: Uint8Array) => boolean;
  readonly Module: new (module: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Exports };
};

/** Undefined where the engine has no vectors, or no room for the program. */
export function makeFold(crc: FoldedCrc): FoldWords | undefined {
  const restBytes = restBytesOf(crc);
  assert(restBytes < FOLDED_BYTES_MIN && restBytes <= BLOCK_AT, "a rest is shorter than what is folded");
  const made = instantiate(encodeModule(crc));
  if (made === undefined) return undefined;
  const { memory, run } = made;
  new Int32Array(memory.buffer, TABLES_AT, TABLE_COUNT * 256).set(crcTables(crc.polynomial));
  const block = new Uint8Array(memory.buffer, BLOCK_AT, BLOCK_BYTES_MAX);
  return (register, words) => {
    assert(
      words.byteLength >= FOLDED_BYTES_MIN && words.byteLength % WORD_BYTES === 0,
      "enough whole words are folded",
    );
    let folded = register;
    let at = 0;
    while (at < words.byteLength) {
      const left = words.byteLength - at;
      const length = left > BLOCK_BYTES_MAX ? BLOCK_BYTES : left;
      block.set(length === words.byteLength ? words : words.subarray(at, at + length));
      folded = run(folded, length - restBytes);
      at += length;
    }
    return folded;
  };
}

function instantiate(module: Uint8Array): Exports | undefined {
  if (!WebAssembly.validate(module)) return undefined;
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  } catch {
    // A process whose address space is limited may have no room for it. Tables come to the same numbers.
    return undefined;
  }
}

/** Eight tables, one behind the other, for eight bytes a step. Table k holds the effect of a byte that lies k bytes before the step's end. */
export function crcTables(polynomial: number): Int32Array {
  const tables = new Int32Array(TABLE_COUNT * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const shorter = tables[at - 256] ?? 0;
    tables[at] = (tables[shorter & 0xff] ?? 0) ^ (shorter >>> 8);
  }
  return tables;
}

function restBytesOf({ exponents }: FoldedCrc): number {
  return Math.max(...exponents) * WORD_BYTES;
}

// The program.

const I32 = 0x7f;
const FUNCTION = 0x60;
const NO_RESULT = 0x40;
const OP = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x28,
  store: 0x36,
  constant: 0x41,
  lessThan: 0x49,
  add: 0x6a,
  and: 0x71,
  xor: 0x73,
  shiftLeft: 0x74,
  shiftRight: 0x76,
} as const;
const VECTOR = { load: [0xfd, 0x00], store: [0xfd, 0x0b], constant: [0xfd, 0x0c], xor: [0xfd, 0x51] } as const;
const VECTOR_ZERO: readonly number[] = [...VECTOR.constant, ...new Uint8Array(WORD_BYTES)];

/** The locals: two arguments, the place of a loop, the same place in the block, half of a step through the tables. */
const REGISTER = 0;
const REST_BEGIN = 1;
const PLACE = 2;
const SOURCE = 3;
const HALF = 4;

function encodeModule(crc: FoldedCrc): Uint8Array<ArrayBuffer> {
  const code = [1, 3, I32, ...encodeRun(crc), OP.end];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[FUNCTION, 2, I32, I32, 1, I32]]),
    ...section(3, [[0]]),
    ...section(5, [[0, 1]]),
    ...section(7, [
      [...name("memory"), 2, 0],
      [...name("run"), 0, 0],
    ]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ]);
}

function encodeRun(crc: FoldedCrc): readonly number[] {
  const restBytes = restBytesOf(crc);
  const longest = Math.max(...crc.exponents);
  // The farthest first: the nearest was written last, and should be waited for last.
  const distances = crc.exponents.map((exponent) => longest - exponent).filter((distance) => distance > 0);
  /** Adds the words at all distances before `local` to the one at `place` and `at`. */
  const gather = (local: number, at: number): readonly number[] => [
    ...[OP.get, PLACE, OP.get, PLACE, ...vectorLoad(at)],
    ...distances.flatMap((distance) => [
      ...[OP.get, local, ...vectorLoad(BLOCK_AT - distance * WORD_BYTES)],
      ...VECTOR.xor,
    ]),
    ...vectorStore(at),
  ];
  const follow = [OP.get, REST_BEGIN, OP.get, PLACE, OP.add];
  return [
    // The register is added to the first four bytes.
    ...[...number(0), ...number(0), ...load(BLOCK_AT), OP.get, REGISTER, OP.xor, ...store(BLOCK_AT)],
    ...encodeLoop({ until: [OP.get, REST_BEGIN], step: WORD_BYTES }, gather(PLACE, BLOCK_AT)),
    // The rest moves away and leaves zeros: only words that were left out count for it.
    ...encodeLoop({ until: number(restBytes), step: WORD_BYTES }, [
      ...[OP.get, PLACE, ...follow, OP.tee, SOURCE, ...vectorLoad(BLOCK_AT), ...vectorStore(REST_AT)],
      ...[OP.get, SOURCE, ...VECTOR_ZERO, ...vectorStore(BLOCK_AT)],
    ]),
    ...encodeLoop({ until: number(restBytes), step: WORD_BYTES }, [
      ...[...follow, OP.set, SOURCE],
      ...gather(SOURCE, REST_AT),
    ]),
    ...[...number(0), OP.set, REGISTER],
    ...encodeLoop({ until: number(restBytes), step: 8 }, TABLE_STEP),
    ...[OP.get, REGISTER],
  ];
}

/** Eight bytes of the rest through the tables. */
const TABLE_STEP: readonly number[] = [
  ...[OP.get, PLACE, ...load(REST_AT), OP.get, REGISTER, OP.xor, OP.set, REGISTER],
  ...[OP.get, PLACE, ...load(REST_AT + 4), OP.set, HALF],
  ...[REGISTER, HALF].flatMap((local, half) =>
    [0, 1, 2, 3].flatMap((byte) => {
      const table = TABLES_AT + (7 - half * 4 - byte) * TABLE_BYTES;
      const index = [OP.get, local, ...number(byte * 8), OP.shiftRight, ...number(0xff), OP.and];
      const looked = [...index, ...number(2), OP.shiftLeft, ...load(table)];
      return half + byte === 0 ? looked : [...looked, OP.xor];
    }),
  ),
  ...[OP.set, REGISTER],
];

/** PLACE goes from 0 in steps while it is below `until`; the body runs at least once. */
function encodeLoop(
  over: { readonly until: readonly number[]; readonly step: number },
  body: readonly number[],
): readonly number[] {
  return [
    ...[...number(0), OP.set, PLACE, OP.loop, NO_RESULT],
    ...body,
    ...[OP.get, PLACE, ...number(over.step), OP.add, OP.tee, PLACE, ...over.until, OP.lessThan],
    ...[OP.branchIf, 0, OP.end],
  ];
}

function load(offset: number): readonly number[] {
  return [OP.load, 2, ...unsigned(offset)];
}

function store(offset: number): readonly number[] {
  return [OP.store, 2, ...unsigned(offset)];
}

function vectorLoad(offset: number): readonly number[] {
  return [...VECTOR.load, 4, ...unsigned(offset)];
}

function vectorStore(offset: number): readonly number[] {
  return [...VECTOR.store, 4, ...unsigned(offset)];
}

function number(value: number): readonly number[] {
  return [OP.constant, ...signed(value)];
}

function section(id: number, items: readonly (readonly number[])[]): readonly number[] {
  const body = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(body.length), ...body];
}

function name(text: string): readonly number[] {
  const bytes = Buffer.from(text);
  return [bytes.byteLength, ...bytes];
}

/** LEB128. */
function unsigned(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** LEB128 with a sign. */
function signed(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -0x40 || rest >= 0x40; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}
