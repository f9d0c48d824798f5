import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChainRuns, type DeltaMeasured, deltaReport } from "./delta-report.ts";
import type { Measured } from "./measure.ts";
import type { Restored } from "./restoring.ts";

const IDLE: Measured = { wallMs: 0, cpuMs: 0, peakRssBytes: 1, serverCpuMs: 0, companionCpuMs: 0, noiseMs: 0 };

function backup(wallMs: number, storedBytes: number) {
  return { measured: { ...IDLE, wallMs, cpuMs: 1000, serverCpuMs: 500, companionCpuMs: 200 }, storedBytes };
}

function restore(wallMs: number, startMs?: number): Restored {
  return { measured: { ...IDLE, wallMs }, ...(startMs === undefined ? {} : { startMs }) };
}

const OURS: ChainRuns = {
  title: "Lifeboat",
  full: [backup(10_000, 1000)],
  unchanged: [backup(2600, 5)],
  updated: [backup(5000, 60), backup(6000, 60)],
  first: [restore(5500)],
  last: [restore(6700)],
  inPlace: [restore(3500, 500)],
};
const BLOCK: ChainRuns = {
  ...OURS,
  title: "pgBackRest bundle+block",
  updated: [backup(10_000, 100), backup(10_000, 120)],
  first: [restore(5000)],
  last: [restore(6000)],
};
const MEASURED: DeltaMeasured = {
  base: "base",
  chains: [OURS, BLOCK],
  readers: [
    { title: "stream thrown away", runs: [{ ...IDLE, wallMs: 2000 }] },
    { title: "pg_basebackup to /dev/null", runs: [{ ...IDLE, wallMs: 1000 }] },
  ],
};
const FACTS = { request: { mib: 2048, runs: 1, backups: 4, peers: ["pgbackrest-block"] as const }, versions: {} };

test("a chain's verdicts are taken within rounds: each restore in its own step, the stream of our own reader", () => {
  const { text } = deltaReport(MEASURED, FACTS);
  const verdicts = text.split("\n").filter((line) => /^(kept|MISSED) /.test(line));
  assert.deepEqual(
    verdicts.map((line) => [line.split(" ")[0], line.slice(line.lastIndexOf(": ") + 2)]),
    [
      ["MISSED", "0.55 x"],
      ["kept", "0.55 x"],
      ["kept", "1.30 x"],
      ["kept", "0.5 % at most"],
      ["kept", "1.10 x"],
      ["MISSED", "1.12 x"],
      ["kept", "3.0 s"],
    ],
  );
});

test("without a peer only what needs none is judged", () => {
  const { text } = deltaReport({ ...MEASURED, chains: [OURS] }, FACTS);
  assert.equal(text.match(/^(kept|MISSED) /gm)?.length, 3);
  assert.doesNotMatch(text, /pgBackRest/);
});

test("the CPU time of a backup is that of the tool, of the server and of the receiver", () => {
  assert.match(deltaReport(MEASURED, FACTS).text, /^Lifeboat +10\.00 +1\.7 +1\.0 /m);
});
