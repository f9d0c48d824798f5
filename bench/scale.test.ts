import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Measured } from "./measure.ts";
import { lookThrough } from "./scale-objects.ts";
import { OBJECT_COUNTS_DEFAULT, planScale, SCALE_LOOKS, SIZES_MIB_DEFAULT } from "./scale-plan.ts";
import { type SizeRuns, scaleReport } from "./scale-report.ts";

const GIB = 1024 ** 3;
const facts = { cacheFolder: "/cache", freeBytes: 60 * GIB, pgBackRestInstalled: true, newerPgBackRestFetched: true };

describe("the benchmark of scale", () => {
  test("loads bases to 2 GiB and copies tables beyond, and fits where 60 GiB are free", () => {
    const request = { sizesMib: SIZES_MIB_DEFAULT, objectCounts: OBJECT_COUNTS_DEFAULT, runs: 1 };
    const plan = planScale(request, { ...facts, basesThere: [512, 2048] });
    assert.equal(plan.problem, undefined);
    assert.deepEqual(plan.steps.slice(0, 2), [
      "make a PostgreSQL 15 cluster of 102 MiB in /cache and keep it there",
      "copy a base of 102 MiB, back it up and restore it with Lifeboat, 1 times",
    ]);
    assert.match(plan.steps.at(-3) ?? "", /^copy a base of 2048 MiB, copy its tables until it has 8192 MiB/);
    assert.match(planScale(request, { ...facts, freeBytes: GIB, basesThere: [] }).problem ?? "", /^too little disk/);
  });

  test("looks through a simulated vault in every way", async () => {
    for (const look of SCALE_LOOKS) {
      const { wallMs, peakRssBytes } = await lookThrough(look, 300);
      assert.ok(wallMs > 0 && peakRssBytes > 1024 ** 2, look);
    }
  });

  test("judges memory by the two largest sizes", () => {
    const usage = (peakMib: number): Measured => ({
      wallMs: 1000,
      cpuMs: 500,
      peakRssBytes: peakMib * 1024 ** 2,
      serverCpuMs: 0,
      companionCpuMs: 0,
      noiseMs: 0,
    });
    const size = (title: string, peakMib: number): SizeRuns => {
      const [backup, restore] = [usage(peakMib), usage(peakMib)];
      return { title, runs: [{ dataBytes: GIB, storedBytes: 1e9, backup, restore }] };
    };
    const { text } = scaleReport({ sizes: [size("1", 900), size("2", 300), size("8", 310)], looks: [] }, {});
    assert.match(text, /kept +no more memory for four times the data .* 300 MiB to 310 MiB, 1\.03 x/);
  });
});
