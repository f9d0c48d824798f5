import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../../platform/clock.ts";
import { testStoreConformance } from "../conformance/conformance.ts";
import { openMemoryStore } from "../memory/memory-store.ts";
import { type FaultyStore, faultyStore, type StoreFault } from "./faulty-store.ts";

testStoreConformance("faulty store without faults", async () => ({ store: over([]).store, close: async () => {} }));

function over(faults: readonly StoreFault[]): FaultyStore {
  return faultyStore({ store: openMemoryStore({ clock: systemClock }), clock: systemClock, faults });
}

test("a put that fails before has stored nothing, one whose acknowledgement is lost has stored all", async () => {
  const faulty = over([
    { kind: "fail-before", at: 1 },
    { kind: "fail-after", at: 2 },
    { kind: "disk-full", at: 1, on: "delete" },
  ]);
  await assert.rejects(faulty.store.put("a", [Buffer.from("1")]), (error) => isLifeboatError(error, "store.failed"));
  await assert.rejects(faulty.store.put("b", [Buffer.from("1")]), (error) => isLifeboatError(error, "store.failed"));
  assert.equal(await faulty.store.head("a"), undefined);
  assert.equal((await faulty.store.head("b"))?.sizeBytes, 1);
  assert.throws(() => faulty.assertFired(), /disk-full at 1/);
  await assert.rejects(faulty.store.delete("b"), (error) => isLifeboatError(error, "platform.disk-full"));
  faulty.assertFired();
  assert.deepEqual(
    faulty.effects.map(({ operation, key }) => `${operation} ${key}`),
    ["put a", "put b", "head a", "head b", "delete b"],
  );
});

test("reads come back torn or with one bit flipped, once", async () => {
  const faulty = over([
    { kind: "torn", at: 1, on: "get", keptBytes: 2 },
    { kind: "flipped", at: 1, on: "getRange", offset: 1 },
  ]);
  await faulty.store.put("a", [Buffer.from("00000")]);
  assert.equal((await faulty.store.get("a")).toString(), "00");
  assert.equal((await faulty.store.get("a")).toString(), "00000");
  assert.equal((await faulty.store.getRange("a", { offset: 2, length: 3 })).toString(), "010");
  assert.equal((await faulty.store.get("a")).toString(), "00000");
  faulty.assertFired();
});

test("a listing fails before its first object or after its last, and a delay is waited out", async () => {
  const faulty = over([
    { kind: "fail-before", at: 1, on: "list" },
    { kind: "fail-after", at: 2, on: "list" },
    { kind: "delay", at: 3, on: "list", durationMs: 1 },
  ]);
  await faulty.store.put("a", [Buffer.from("1")]);
  const seen: string[][] = [[], [], []];
  const list = async (into: string[] | undefined): Promise<void> => {
    for await (const { key } of faulty.store.list("")) into?.push(key);
  };
  await assert.rejects(list(seen[0]), (error) => isLifeboatError(error, "store.failed"));
  await assert.rejects(list(seen[1]), (error) => isLifeboatError(error, "store.failed"));
  await list(seen[2]);
  assert.deepEqual(seen, [[], ["a"], ["a"]]);
  faulty.assertFired();
});
