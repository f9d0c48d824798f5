import assert from "node:assert/strict";
import { test } from "node:test";
import { type BackupRequest, planBackup } from "./backup-plan.ts";
import type { PlanFacts } from "./plan.ts";

const GIB = 1024 ** 3;
const REQUEST: BackupRequest = { mib: 2048, runs: 3, peers: ["pgbackrest"], restore: false, scale: false };
const FACTS: PlanFacts = {
  cacheFolder: "/var/cache/lifeboat/bench",
  freeBytes: 100 * GIB,
  pgBackRestInstalled: true,
  newerPgBackRestFetched: false,
  basesThere: [2048],
};

test("a plan says what it installs and makes, and nothing else", () => {
  const nothingThere = planBackup(REQUEST, { ...FACTS, pgBackRestInstalled: false, basesThere: [] });
  assert.match(nothingThere.steps[0] ?? "", /apt-get install/);
  assert.match(nothingThere.steps[1] ?? "", /make a PostgreSQL 15 cluster of 2048 MiB/);
  assert.equal(nothingThere.steps.length, 4);
  assert.equal(planBackup(REQUEST, FACTS).steps.length, 2);
  const withoutIt = planBackup({ ...REQUEST, peers: [] }, { ...FACTS, pgBackRestInstalled: false });
  assert.doesNotMatch(withoutIt.steps.join("\n"), /apt-get/);
  const newer = { ...REQUEST, peers: ["pgbackrest-block"] as const };
  assert.match(planBackup(newer, FACTS).steps[0] ?? "", /fetch pgBackRest of Debian 13 .* without installing it/);
  assert.equal(planBackup(newer, { ...FACTS, newerPgBackRestFetched: true }).steps.length, 2);
});

test("too little disk is a problem with both figures", () => {
  const made = planBackup(REQUEST, FACTS);
  assert.equal(made.problem, undefined);
  const short = planBackup(REQUEST, { ...FACTS, freeBytes: 2 * GIB });
  assert.match(short.problem ?? "", /2\.0 GiB are free below .*, 2\.9 GiB are needed/);
  assert.ok(planBackup(REQUEST, { ...FACTS, basesThere: [] }).diskBytes > made.diskBytes + 2 * GIB);
});

test("scaling adds a quarter of the size, for Lifeboat alone", () => {
  const plan = planBackup({ ...REQUEST, scale: true }, FACTS);
  assert.deepEqual(plan.sizesMib, [512, 2048]);
  assert.match(plan.steps.join("\n"), /\(512 MiB\), back up 3 times in turns with Lifeboat\n/);
});
