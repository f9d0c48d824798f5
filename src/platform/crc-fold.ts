/**
 * CRCs of 32 bits by vectors: three to four bytes a cycle, where tables take in one.
 *
 * Nouns: a *register* is a CRC under way, before its last inversion; a *word* is 16 bytes; a *fold* is a multiple of a CRC's
 * polynomial that is a sum of few powers of x^128. By it a word may be left out when it is added (XOR) to some words behind
 * it; read from the other side, each word gets what lies at some *distances* before it, as far as that was left out. So all
 * words are left out but the last, the *rest*; a second fold, of more powers, may make that shorter; then it goes through
 * tables. Words that get from the same distances are a *stretch*, a loop of the program.
 * Node.js has CRC-32 by tables only and no CRC-32C, and a backup needs the one of every page and the other of all WAL. The
 * program is a KiB or two of WebAssembly, put together below. It sees a copy of the bytes in its own memory.
 * Source: WebAssembly Core Specification 2.0, "Binary Format".
 */
import { assert } from "../errors/error.ts";

/**
 * A CRC whose bits are reflected, and its folds, each by its exponents of x^128 from 0 on. Folds are found by search. The rest of one has
 * at least twice the words of the next one's.
 */
export type FoldedCrc = { readonly polynomial: number; readonly folds: readonly (readonly number[])[] };

/** A CRC by vectors. */
export type Fold = {
  /** Fewer bytes cannot be folded. */
  readonly bytesMin: number;
  /** Takes whole words into a register. */
  readonly take: (register: number, words: Uint8Array) => number;
};

export const WORD_BYTES = 16;

/** Of what was given, this much is folded at a time: all of it stays in a core's nearest cache. */
const BLOCK_BYTES = 8192;
/** A last block may be longer, so that none is too short. */
const BLOCK_BYTES_MAX: number = 2 * BLOCK_BYTES;

/** Where the block lies: an offset into the memory that reaches back from it is never negative. */
const BLOCK_AT = 4096;
const TABLES_AT: number = BLOCK_AT + BLOCK_BYTES_MAX;
const TABLE_COUNT = 8;
const TABLE_BYTES = 1024;

type Exports = {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** From a register, and where in the block the rest of the first fold begins, to the register with the block. */
  readonly run: (register: number, restAt: number) => number;
};

/** What is used of it: the types of Node.js leave its values out. */
declare const WebAssembly: {
  readonly validate: (module: Uint8Array) => boolean;
  readonly Module: new (module: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Exports };
};

/**
 * A fold that is made when it is first used: it takes a hundredth of a second, and most commands need none. Undefined where the
 * engine has no vectors, or no room for the program.
 */
export function foldWhenUsed(crc: FoldedCrc): { readonly bytesMin: number; readonly fold: () => Fold | undefined } {
  let made: { readonly fold: Fold | undefined } | undefined;
  const fold = (): Fold | undefined => {
    made ??= { fold: makeFold(crc) };
    return made.fold;
  };
  return { bytesMin: bytesMinOf(crc), fold };
}

function bytesMinOf(crc: FoldedCrc): number {
  return 2 * restBytesOf(crc.folds[0] ?? []);
}

/** Undefined where the engine has no vectors, or no room for the program. */
export function makeFold(crc: FoldedCrc): Fold | undefined {
  const restBytes = restBytesOf(crc.folds[0] ?? []);
  const bytesMin = bytesMinOf(crc);
  assert(bytesMin > 0 && bytesMin <= BLOCK_BYTES && restBytes <= BLOCK_AT, "a rest is shorter than half a block");
  const made = instantiate(encodeModule(crc));
  if (made === undefined) return undefined;
  const { memory, run } = made;
  new Int32Array(memory.buffer, TABLES_AT, TABLE_COUNT * 256).set(crcTables(crc.polynomial));
  const block = new Uint8Array(memory.buffer, BLOCK_AT, BLOCK_BYTES_MAX);
  const take = (register: number, words: Uint8Array): number => {
    assert(words.byteLength >= bytesMin && words.byteLength % WORD_BYTES === 0, "enough whole words are folded");
    let folded = register;
    let at = 0;
    while (at < words.byteLength) {
      const left = words.byteLength - at;
      const length = left < BLOCK_BYTES + bytesMin ? left : BLOCK_BYTES;
      block.set(length === words.byteLength ? words : words.subarray(at, at + length));
      folded = run(folded, length - restBytes);
      at += length;
    }
    return folded;
  };
  return { bytesMin, take };
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

function restBytesOf(exponents: readonly number[]): number {
  return Math.max(0, ...exponents) * WORD_BYTES;
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
const VECTOR = { load: [0xfd, 0x00], store: [0xfd, 0x0b], xor: [0xfd, 0x51] } as const;

/** The locals: two arguments, where a fold begins, the place of a loop, half of a step through the tables. */
const REGISTER = 0;
const REST_BEGIN = 1;
const FOLD_BEGIN = 2;
const PLACE = 3;
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

function encodeRun({ folds }: FoldedCrc): readonly number[] {
  const code = [
    // The register is added to the first four bytes.
    ...[...number(0), ...number(0), ...load(BLOCK_AT), OP.get, REGISTER, OP.xor, ...store(BLOCK_AT)],
    ...[...number(0), OP.set, FOLD_BEGIN],
  ];
  let restBytes = 0;
  for (const exponents of folds) {
    if (restBytes > 0) {
      assert(restBytes >= 2 * restBytesOf(exponents), "a rest has room for the next fold's");
      const next = [OP.get, REST_BEGIN, ...number(restBytes - restBytesOf(exponents)), OP.add];
      code.push(...[OP.get, REST_BEGIN, OP.set, FOLD_BEGIN, ...next, OP.set, REST_BEGIN]);
    }
    restBytes = restBytesOf(exponents);
    code.push(...encodeFold(exponents));
  }
  const end = [OP.get, REST_BEGIN, ...number(restBytes), OP.add];
  const tables = encodeLoop({ from: [OP.get, REST_BEGIN], until: end, step: 8 }, TABLE_STEP);
  return [...code, ...number(0), OP.set, REGISTER, ...tables, OP.get, REGISTER];
}

/** What begins at FOLD_BEGIN is left out up to REST_BEGIN; there are at least as many words as the rest has. */
function encodeFold(exponents: readonly number[]): readonly number[] {
  const longest = Math.max(...exponents);
  const distances = exponents.map((exponent) => longest - exponent).filter((distance) => distance > 0);
  // The farthest first: the nearest was written last, and should be waited for last.
  distances.sort((a, b) => b - a);
  const rising = distances.toReversed();
  const begin = (words: number) => [OP.get, FOLD_BEGIN, ...number(words * WORD_BYTES), OP.add];
  const rest = (words: number) => [OP.get, REST_BEGIN, ...number(words * WORD_BYTES), OP.add];
  const early: number[] = [];
  const late: number[] = [];
  for (const [index, distance] of rising.entries()) {
    const next = rising[index + 1];
    if (next === undefined) break;
    // The first words reach back to the fold by the near distances only, the last words by the far ones only.
    const [near, far] = [distances.slice(-1 - index), distances.slice(0, -1 - index)];
    early.push(...encodeStretch({ from: begin(distance), until: begin(next) }, near));
    late.push(...encodeStretch({ from: rest(distance), until: rest(next) }, far));
  }
  const between = encodeStretch({ from: begin(longest), until: rest(rising[0] ?? 0) }, distances);
  return [...early, ...between, ...late];
}

function encodeStretch(
  over: { readonly from: readonly number[]; readonly until: readonly number[] },
  distances: readonly number[],
): readonly number[] {
  return encodeLoop({ ...over, step: WORD_BYTES }, [
    ...[OP.get, PLACE, OP.get, PLACE, ...vectorLoad(BLOCK_AT)],
    ...distances.flatMap((distance) => [
      ...[OP.get, PLACE, ...vectorLoad(BLOCK_AT - distance * WORD_BYTES)],
      ...VECTOR.xor,
    ]),
    ...vectorStore(BLOCK_AT),
  ]);
}

/** Eight bytes of the rest through the tables. */
const TABLE_STEP: readonly number[] = [
  ...[OP.get, PLACE, ...load(BLOCK_AT), OP.get, REGISTER, OP.xor, OP.set, REGISTER],
  ...[OP.get, PLACE, ...load(BLOCK_AT + 4), OP.set, HALF],
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

/** PLACE goes from `from` in steps while it is below `until`; the body runs at least once. */
function encodeLoop(
  over: { readonly from: readonly number[]; readonly until: readonly number[]; readonly step: number },
  body: readonly number[],
): readonly number[] {
  return [
    ...[...over.from, OP.set, PLACE, OP.loop, NO_RESULT],
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
