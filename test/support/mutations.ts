/**
 * Bytes that are nearly right: what a parser meets after damage, or from somebody who means no good.
 */
import { Prng } from "../../src/platform/prng.ts";

/** Numbers at which arithmetic of lengths and offsets turns over. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffe, 8192, 512];

/** One to four changes of a sample, drawn from the seed and stream. */
export function mutated(sample: Buffer, seed: number, stream: number): Buffer {
  const random = new Prng(seed, stream);
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
