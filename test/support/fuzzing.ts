/**
 * Gives a parser bytes that are nearly right, again and again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../../src/errors/error.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Files } from "../../src/platform/files.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { repetitions, testSeed } from "./effort.ts";
import { mutated } from "./mutations.ts";

/** How often a parser that takes microseconds is given some. */
const CHEAP = repetitions(1000, 100_000);
/** How often one that takes a millisecond is. */
export const DEAR = repetitions(60, 5_000);
/** Of a record it takes as many until each of its fields was something else. */
const RECORDS = repetitions(600, 10_000);
/** More than any of these takes on a busy machine; what hangs takes for ever. */
const DURATION_MAX_MS = 20_000;

/** Parses mutation after mutation of the samples, of which the first is right. It answers, or refuses by an error that is no bug. */
export function fuzz(name: string, samples: readonly Buffer[], parse: (bytes: Buffer) => unknown, count = CHEAP): void {
  test(`${name}: nearly right bytes are read or refused`, async () => {
    // What is right is read; the other samples may be of kinds that are refused.
    await parse(Buffer.from(samples[0] ?? Buffer.alloc(0)));
    for (let stream = 0; stream < count; stream += 1) {
      const sample = samples[stream % samples.length] ?? Buffer.alloc(0);
      const bytes = mutated(sample, testSeed(), stream);
      const begun = systemClock.monotonic();
      try {
        await parse(bytes);
      } catch (error) {
        const refused = isLifeboatError(error) && error.kind !== "bug";
        if (!refused) throw new Error(`stream ${stream}: ${bytes.toString("hex").slice(0, 2000)}`, { cause: error });
      }
      assert.ok(systemClock.monotonic() - begun < DURATION_MAX_MS, `stream ${stream} took too long`);
    }
  });
}

/** The same for a file of the folder `/state`, in memory. */
export function fuzzFile(
  name: string,
  file: string,
  sample: string | Buffer,
  read: (files: Files, file: string) => Promise<unknown>,
): void {
  fuzz(
    name,
    [Buffer.from(sample)],
    async (bytes) => {
      const { files } = memoryFiles();
      await files.makeFolder("/state");
      const handle = await files.open(`/state/${file}`, "create");
      await handle.write(bytes, 0);
      await handle.close();
      await read(files, `/state/${file}`);
    },
    RECORDS,
  );
}
