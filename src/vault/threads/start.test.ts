import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../../test/support/backups.ts";
import { systemFiles } from "../../platform/files.ts";
import { CODEC } from "../codec.ts";
import { objectKey } from "../sealing.ts";
import type { CompareAnswer, CompareBatch } from "./comparer.ts";
import { ComparerPool } from "./comparer-pool.ts";
import { OpenerPool } from "./opener-pool.ts";
import { ChunkThreads } from "./start.ts";

const KEY = createSecretKey(Buffer.alloc(32, "key"));
const BATCH = {
  slot: 0,
  key: objectKey(Buffer.alloc(32)),
  chunks: [{ ordinal: 0, at: 0, storedBytes: 40, plainBytes: 24, codec: CODEC.raw, into: 0, writes: 0 }],
  writes: undefined,
};

test("threads that are shared do several tasks in turns, and go on when one of them has ended", async () => {
  const threads = new ChunkThreads();
  threads.start();
  const opener = new OpenerPool({ inputBytes: 1024, outputBytes: 1024 }, threads);
  opener.startThreads();
  const comparer = new ComparerPool(systemFiles, KEY, { bytesHere: 0, threads });
  // No chunk was sealed so.
  const damaged = { index: 0, why: "sealed" };
  await withFolder(async (folder) => {
    const file = path.join(folder, "a file");
    await writeFile(file, "12345");
    const part = { kind: "bytes", path: file, sizeBytes: 6, contentName: "" } as const;
    const [[found], opened] = await Promise.all([comparer.compare({ slot: 1, parts: [part] }), opener.open(BATCH)]);
    assert.deepEqual([found?.facts?.sizeBytes, found?.same, opened], [5, false, damaged]);
  });
  await comparer.close();
  assert.deepEqual(await opener.open({ ...BATCH, slot: 1 }), damaged);
  await opener.close();
  const another = new OpenerPool({ inputBytes: 1024, outputBytes: 1024 }, threads);
  another.startThreads();
  assert.deepEqual(await another.open(BATCH), damaged);
  await another.close();
  await threads.stop();
});

test("a question that may go to any thread goes to the one with least to answer", async () => {
  const threads = new ChunkThreads();
  const task = threads.begin<CompareBatch, CompareAnswer>({ kind: "compare", slots: [], key: KEY });
  await withFolder(async (folder) => {
    const file = path.join(folder, "a file");
    await writeFile(file, Buffer.alloc(1024 * 1024));
    const question = {
      slot: 0,
      parts: [{ kind: "bytes", path: file, sizeBytes: 1024 * 1024, contentName: "" }],
    } as const;
    await Promise.all([task.ask(0, question), task.ask(1, question)]);
    for (const busy of [0, 1]) {
      const answered: string[] = [];
      const note = (name: string) => () => void answered.push(name);
      const others = Array.from({ length: 100 }, () => task.ask(busy, question).then(note("busy")));
      await Promise.all([...others, task.askIdlest(question).then(note("idlest"))]);
      assert.ok(answered.indexOf("idlest") < 50, `answered after ${answered.indexOf("idlest")} others`);
    }
  });
  task.end();
  await threads.stop();
});
