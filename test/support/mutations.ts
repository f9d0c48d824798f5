/**
 * Bytes that are nearly right: what a parser meets after damage, or from somebody who means no good.
 */
import { Prng } from "../../src/platform/prng.ts";

/** Numbers at which arithmetic of lengths and offsets turns over. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffe, 8192, 512];

/** What stands in JSON where something else is expected. */
const MISFITS: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  "",
  "x",
  "0/0",
  "\u0000",
  "9".repeat(400),
  [],
  {},
  [[]],
  [null],
];

/**
 * One to four changes of a sample, drawn from the seed and stream. Of JSON, or a line of it, every other one is JSON again, of
 * another shape: changed bytes seldom get past its grammar.
 */
export function mutated(sample: Buffer, seed: number, stream: number): Buffer {
  const random = new Prng(seed, stream);
  const reshaped = stream % 2 === 0 ? undefined : reshape(sample.toString("utf8"), random);
  if (reshaped !== undefined) return Buffer.from(reshaped);
  let bytes: Buffer = Buffer.from(sample);
  for (let count = 1 + random.below(4); count > 0; count -= 1) bytes = change(bytes, random);
  return bytes;
}

function change(bytes: Buffer, random: Prng): Buffer {
  const length = bytes.byteLength;
  if (length === 0) return Buffer.from([random.below(256)]);
  const at = random.below(length);
  const some = Math.min(length - at, 1 + random.below(64));
  switch (random.below(8)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = random.below(256);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + some)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at + some), bytes.subarray(at)]);
    case 5:
      bytes.fill(random.pick([0, 0xff, 0x30, 0x39]), at, at + some);
      return bytes;
    case 6:
      if (at + 4 > length) return bytes;
      if (random.below(2) === 0) bytes.writeUInt32LE(random.pick(EXTREMES), at);
      else bytes.writeUInt32BE(random.pick(EXTREMES), at);
      return bytes;
    default: {
      const from = random.below(length);
      bytes.copyWithin(at, from, from + some);
      return bytes;
    }
  }
}

/** The text with one or two of the values in it taken away, doubled or replaced; undefined where it has no JSON object. */
function reshape(text: string, random: Prng): string | undefined {
  const pieces = objectIn(text) === undefined ? text.split("\n") : [text];
  const places = pieces.flatMap((piece, index) => (objectIn(piece) === undefined ? [] : [index]));
  if (places.length === 0) return undefined;
  const place = random.pick(places);
  const value = objectIn(pieces[place] ?? "");
  for (let count = 1 + random.below(2); count > 0; count -= 1) if (value !== undefined) misfit(value, random);
  return pieces.with(place, JSON.stringify(value)).join("\n");
}

type Member = Record<string, unknown> | unknown[];

function objectIn(text: string): Member | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isMember(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isMember(value: unknown): value is Member {
  return typeof value === "object" && value !== null;
}

/** Changes one value, at any depth. */
function misfit(within: Member, random: Prng): void {
  const names = Object.keys(within);
  if (names.length === 0) return;
  const name = random.pick(names);
  const value: unknown = Reflect.get(within, name);
  if (isMember(value) && random.below(3) > 0) {
    misfit(value, random);
    return;
  }
  switch (random.below(6)) {
    case 0:
      if (Array.isArray(within)) within.splice(Number(name), 1);
      else delete within[name];
      return;
    case 1:
      if (Array.isArray(within)) within.push(structuredClone(value));
      else within["toString"] = structuredClone(value);
      return;
    case 2:
      // What is somewhere else in it.
      Reflect.set(within, name, structuredClone(Reflect.get(within, random.pick(names))));
      return;
    default:
      Reflect.set(within, name, structuredClone(random.pick(MISFITS)));
  }
}
