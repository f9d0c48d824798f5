/**
 * Sizes in bytes as people write them.
 *
 * Nouns: a *byte size* is a whole number of bytes, never negative; its text is a number and a unit, binary (`64MiB`) or
 * decimal (`64MB`). PostgreSQL's `kB` means 1024 and ours 1000, so help and output use binary units only.
 * Invariant: `parseByteSize(formatByteSize(s))` is `s`.
 */

/** A size, bytes. */
export type ByteSize = number & { readonly brand: "ByteSize" };

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40],
]);

const BINARY_UNITS = ["TiB", "GiB", "MiB", "KiB"] as const;

/** Reads `64MiB`, `1.5 GiB`, `500MB`, `8192`. Undefined for anything else, and where the number of bytes is not exact. */
export function parseByteSize(text: string): ByteSize | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text);
  const unitBytes = UNIT_BYTES.get(match?.[2] ?? "");
  if (match === null || unitBytes === undefined) return undefined;
  const bytes = Number(match[1]) * unitBytes;
  return Number.isSafeInteger(bytes) ? (bytes as ByteSize) : undefined;
}

/** Writes a size exactly, in the biggest binary unit that divides it: `64MiB`, `1025B`. */
export function formatByteSize(bytes: number): string {
  const unit = BINARY_UNITS.find((each) => bytes > 0 && bytes % (UNIT_BYTES.get(each) ?? 1) === 0);
  return unit === undefined ? `${bytes}B` : `${bytes / (UNIT_BYTES.get(unit) ?? 1)}${unit}`;
}

/** Writes a size for people, three digits or so: `1.2 GiB`, `340 MiB`, `17 B`. */
export function describeByteSize(bytes: number): string {
  for (const unit of BINARY_UNITS) {
    const count = bytes / (UNIT_BYTES.get(unit) ?? 1);
    // 0.9995 so that what would be printed as 1024 KiB is printed as 1.0 MiB.
    if (count >= 0.9995) return `${count < 99.95 ? count.toFixed(1) : Math.round(count)} ${unit}`;
  }
  return `${Math.round(bytes)} B`;
}
