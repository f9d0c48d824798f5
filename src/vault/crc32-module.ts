/**
 * The program behind crc32.ts, as WebAssembly: folds one block and takes what is left by tables.
 *
 * Nouns: a *word* is 16 bytes of the block; a *fold* is a multiple of the CRC's polynomial that is a sum of a few powers of
 * x^128. By it a word may be left out when it is added (XOR) to some words behind it; read from the other side, each word gets
 * what lies at some *distances* before it, as far as that was left out. A block and a fold give *stretches* of words that all
 * get from the same distances: a loop each.
 * Invariant: only the block is written to.
 * Source: WebAssembly Core Specification 2.0, "Binary Format".
 */

/** The block, from its first byte on, and room before it: a distance is an offset into the memory, never negative. */
export const BLOCK_AT = 4096;
/** A page: what is folded at a time. */
export const BLOCK_BYTES = 8192;
/** Eight tables of 256 numbers of 32 bits. */
export const TABLES_AT: number = BLOCK_AT + BLOCK_BYTES;

const WORD_BYTES = 16;
const BLOCK_WORDS = BLOCK_BYTES / WORD_BYTES;
const TABLE_BYTES = 1024;

/**
 * Exponents of the folds for CRC-32 (0xEDB88320), first the one of fewest terms, then one that leaves little. Found by
 * search: there is none of seven terms below 123, nor of twelve below 42.
 */
export const FOLDS: readonly (readonly number[])[] = [
  [0, 45, 53, 74, 80, 120, 123],
  [0, 3, 5, 7, 8, 13, 18, 21, 24, 26, 30, 42],
];

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
/** The locals: the CRC under way (the argument), the place in the block, half of a step through the tables. */
const CRC = 0;
const PLACE = 1;
const HALF = 2;

/** A module that exports `memory` and `run`: from the CRC of what comes before, to the CRC with the block. */
export function encodeModule(): Uint8Array<ArrayBuffer> {
  const locals = [1, 2, I32];
  const code = [...locals, ...encodeRun(), OP.end];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[FUNCTION, 1, I32, 1, I32]]),
    ...section(3, [[0]]),
    ...section(5, [[0, 1]]),
    ...section(7, [
      [...name("memory"), 2, 0],
      [...name("run"), 0, 0],
    ]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ]);
}

function encodeRun(): readonly number[] {
  const code = [
    // The CRC of what comes before is added to the first four bytes.
    ...number(0),
    ...number(0),
    ...load(BLOCK_AT),
    ...[OP.get, CRC, OP.xor],
    ...number(-1),
    OP.xor,
    ...[OP.store, 2, ...unsigned(BLOCK_AT)],
  ];
  let from = 0;
  for (const exponents of FOLDS) {
    const longest = Math.max(...exponents);
    const until = BLOCK_WORDS - longest;
    for (const stretch of stretchesOf({ from, until }, exponents)) code.push(...encodeStretch(stretch));
    from = until;
  }
  return [...code, ...number(0), OP.set, CRC, ...encodeTables(from * WORD_BYTES), OP.get, CRC, ...number(-1), OP.xor];
}

type Stretch = { readonly from: number; readonly to: number; readonly distances: readonly number[] };

/** The words from `from` up to `until` are left out, and added to others up to the block's end. */
function stretchesOf(
  { from, until }: { readonly from: number; readonly until: number },
  exponents: readonly number[],
): readonly Stretch[] {
  const longest = Math.max(...exponents);
  // The farthest first: the nearest was written last, and should be waited for last.
  const distances = exponents.map((exponent) => longest - exponent).filter((distance) => distance > 0);
  const edges = [from, BLOCK_WORDS, ...distances.flatMap((distance) => [from + distance, until + distance])];
  const sorted = [...new Set(edges)].sort((a, b) => a - b);
  return sorted.slice(1).flatMap((to, index) => {
    const start = sorted[index] ?? 0;
    const reaching = distances.filter((distance) => start - distance >= from && start - distance < until);
    return reaching.length === 0 ? [] : [{ from: start, to, distances: reaching }];
  });
}

function encodeStretch({ from, to, distances }: Stretch): readonly number[] {
  const word = [
    ...[OP.get, PLACE, OP.get, PLACE, ...vectorLoad(BLOCK_AT)],
    ...distances.flatMap((distance) => [
      ...[OP.get, PLACE, ...vectorLoad(BLOCK_AT - distance * WORD_BYTES)],
      ...VECTOR.xor,
    ]),
    ...[...VECTOR.store, 4, ...unsigned(BLOCK_AT)],
  ];
  return encodeLoop({ from: from * WORD_BYTES, to: to * WORD_BYTES, step: WORD_BYTES }, word);
}

/** From byte `from` of the block to its end, eight at a time. */
function encodeTables(from: number): readonly number[] {
  const look = (local: number, index: number): readonly number[] => [
    ...[OP.get, local],
    ...(index === 0 ? [] : [...number(index * 8), OP.shiftRight]),
    ...(index === 3 ? [] : [...number(0xff), OP.and]),
    ...[...number(2), OP.shiftLeft],
  ];
  const looks = [CRC, HALF].flatMap((local, half) =>
    [0, 1, 2, 3].map((index) => [...look(local, index), ...load(TABLES_AT + (7 - half * 4 - index) * TABLE_BYTES)]),
  );
  const step = [
    ...[OP.get, PLACE, ...load(BLOCK_AT), OP.get, CRC, OP.xor, OP.set, CRC],
    ...[OP.get, PLACE, ...load(BLOCK_AT + 4), OP.set, HALF],
    ...looks.flatMap((each, index) => (index === 0 ? each : [...each, OP.xor])),
    ...[OP.set, CRC],
  ];
  return encodeLoop({ from, to: BLOCK_BYTES, step: 8 }, step);
}

function encodeLoop(
  over: { readonly from: number; readonly to: number; readonly step: number },
  body: readonly number[],
): readonly number[] {
  return [
    ...[...number(over.from), OP.set, PLACE, OP.loop, NO_RESULT],
    ...body,
    ...[OP.get, PLACE, ...number(over.step), OP.add, OP.tee, PLACE, ...number(over.to), OP.lessThan],
    ...[OP.branchIf, 0, OP.end],
  ];
}

function load(offset: number): readonly number[] {
  return [OP.load, 2, ...unsigned(offset)];
}

function vectorLoad(offset: number): readonly number[] {
  return [...VECTOR.load, 4, ...unsigned(offset)];
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
