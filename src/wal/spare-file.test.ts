import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { faultyFiles } from "../platform/faulty-files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { SpareFile } from "./spare-file.ts";
import { laidOutBytes } from "./spool-marks.ts";

const MIB = 1024 * 1024;
const SPARE = "/srv/spare";
const PARTIAL = "/srv/a.partial";
const of = { start: BigInt(5 * MIB) as Lsn, walSegmentBytes: MIB };
/** A clock that waits for nothing. */
const clock = { ...systemClock, sleep: async () => undefined };

async function makeSpare(errno?: "ENOSPC") {
  const memory = memoryFiles();
  await memory.files.makeFolder("/srv");
  // A disk with delayed allocation finds out that it is full when it has to give the blocks: src/wal/spare-file.ts fill: sync.
  const at = ({ operation, path }: { readonly operation: string; readonly path: string }): boolean =>
    operation === "sync" && path === SPARE;
  const faulty = faultyFiles(memory.files, errno === undefined ? undefined : { at, errno, when: "before" });
  const spare = new SpareFile({ files: faulty.files, clock }, SPARE);
  await spare.make(of.walSegmentBytes);
  return { spare, faulty };
}

test("a file is laid out in steps, each of them on the disk before the next", async () => {
  const { faulty } = await makeSpare();
  const operations = faulty.effects.filter(({ path }) => path === SPARE).map(({ operation }) => operation);
  const steps = operations.filter((each) => each === "write" || each === "sync");
  assert.ok(steps.length > 4);
  assert.deepEqual(
    steps,
    steps.map((_, index) => (index % 2 === 0 ? "write" : "sync")),
  );
});

test("a disk that is full when the blocks are to be given leaves no file that seems laid out, and a segment begins all the same", async () => {
  const { spare, faulty } = await makeSpare("ENOSPC");
  faulty.assertFired();
  assert.equal(await faulty.files.stat(SPARE), undefined);
  await spare.take(PARTIAL, of);
  assert.equal((await faulty.files.stat(PARTIAL))?.sizeBytes, laidOutBytes(MIB));
});

test("what a process left of a file without its name is in nobody's way", async () => {
  const { spare, faulty } = await makeSpare("ENOSPC");
  await (await faulty.files.open(`${SPARE}-hollow`, "create")).close();
  await spare.take(PARTIAL, of);
  assert.equal((await faulty.files.stat(PARTIAL))?.sizeBytes, laidOutBytes(MIB));
  await spare.drop();
  assert.deepEqual(
    (await faulty.files.list("/srv")).map(({ name }) => name),
    ["a.partial"],
  );
});
