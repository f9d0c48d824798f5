/**
 * What every store promises, as one suite of tests.
 *
 * Call `testStoreConformance` from the test file of a store: it registers its cases with node:test. A store that passes
 * may hold a vault.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../errors/registry.ts";
import { KEY_LENGTH_MAX, KEY_PART_LENGTH_MAX } from "../key.ts";
import type { ObjectFacts, Store } from "../store.ts";

/** An empty store for one case, and what gives its resources back. */
export type StoreUnderTest = { readonly store: Store; close(): Promise<void> };

/** Registers the suite; `open` is called once for each case. */
export function testStoreConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  for (const [sentence, run] of [...BASIC_CASES, ...KEY_CASES, ...LIST_CASES, ...RACE_CASES]) {
    test(`${name}: ${sentence}`, async () => {
      const { store, close } = await open();
      try {
        await run(store);
      } finally {
        await close();
      }
    });
  }
}

type Case = readonly [sentence: string, run: (store: Store) => Promise<void>];

const BASIC_CASES: readonly Case[] = [
  [
    "what was put is got back whole, in ranges, and by its facts",
    async (store) => {
      const before = Date.now();
      await store.put("a/one.pack", [bytes("hel"), bytes("lo "), bytes("world")]);
      assert.equal((await store.get("a/one.pack")).toString(), "hello world");
      assert.equal((await store.getRange("a/one.pack", { offset: 2, length: 5 })).toString(), "llo w");
      assert.equal((await store.getRange("a/one.pack", { offset: 11, length: 0 })).byteLength, 0);
      const facts = await store.head("a/one.pack");
      assert.equal(facts?.key, "a/one.pack");
      assert.equal(facts?.sizeBytes, 11);
      const ageMs = (facts?.storedMs ?? 0) - before;
      assert.ok(Math.abs(ageMs) < 60_000, `stored ${ageMs} ms from now`);
    },
  ],
  [
    "of an object that is open parts are read, and one that is not there does not open",
    async (store) => {
      if (store.openObject === undefined) return;
      await store.put("a", [bytes("hello world")]);
      const object = await store.openObject("a");
      assert.equal((await object.getRange({ offset: 6, length: 5 })).toString(), "world");
      await rejectsWith("store.object-truncated", object.getRange({ offset: 6, length: 6 }));
      assert.equal((await object.getRange({ offset: 0, length: 5 })).toString(), "hello");
      await object.close();
      await rejectsWith("store.object-missing", store.openObject("b"));
    },
  ],
  [
    "an empty object is an object",
    async (store) => {
      await store.put("empty", []);
      await store.put("hollow", [bytes("")]);
      assert.equal((await store.get("empty")).byteLength, 0);
      assert.equal((await store.head("hollow"))?.sizeBytes, 0);
      assert.deepEqual(await keysOf(store, ""), ["empty", "hollow"]);
    },
  ],
  [
    "a large object of many parts of all sizes keeps its bytes in order",
    async (store) => {
      const parts = Array.from({ length: 400 }, (_, index) => Buffer.alloc((index * 977) % 100_000, index & 0xff));
      const whole = Buffer.concat(parts);
      await store.put("large", parts);
      assert.ok((await store.get("large")).equals(whole));
      const range = { offset: 1_234_567, length: 7_654_321 };
      const found = await store.getRange("large", range);
      assert.ok(found.equals(whole.subarray(range.offset, range.offset + range.length)));
    },
  ],
  [
    "the buffers of a put belong to the caller again, and so do those of a get",
    async (store) => {
      const part = bytes("mine");
      await store.put("a", [part]);
      part.fill(0);
      const got = await store.get("a");
      assert.equal(got.toString(), "mine");
      got.fill(0);
      assert.equal((await store.get("a")).toString(), "mine");
    },
  ],
  [
    "a range past the end is truncated, never short",
    async (store) => {
      await store.put("a", [bytes("12345")]);
      await rejectsWith("store.object-truncated", store.getRange("a", { offset: 3, length: 3 }));
      await rejectsWith("store.object-truncated", store.getRange("a", { offset: 9, length: 1 }));
    },
  ],
  [
    "what is absent is proven absent, also where only a folder is",
    async (store) => {
      await store.put("folder/a", [bytes("1")]);
      for (const key of ["nothing", "folder", "folder/b", "no/such/folder"]) {
        await rejectsWith("store.object-missing", store.get(key));
        await rejectsWith("store.object-missing", store.getRange(key, { offset: 0, length: 1 }));
        assert.equal(await store.head(key), undefined);
        await store.delete(key);
      }
      assert.deepEqual(await keysOf(store, ""), ["folder/a"]);
    },
  ],
  [
    "an object that was deleted is gone, and its key can be used again",
    async (store) => {
      await store.put("folder/a", [bytes("1")]);
      await store.delete("folder/a");
      await rejectsWith("store.object-missing", store.get("folder/a"));
      assert.deepEqual(await keysOf(store, ""), []);
      await store.put("folder/a", [bytes("2")]);
      assert.equal((await store.get("folder/a")).toString(), "2");
    },
  ],
  [
    "a stop on request ends every operation with nothing done",
    async (store) => {
      await store.put("there", [bytes("1")]);
      const options = { signal: AbortSignal.abort(new Error("enough")) };
      await rejectsWith("platform.aborted", store.put("new", [bytes("2")], options));
      await rejectsWith("platform.aborted", store.get("there", options));
      await rejectsWith("platform.aborted", store.getRange("there", { offset: 0, length: 1 }, options));
      await rejectsWith("platform.aborted", store.head("there", options));
      await rejectsWith("platform.aborted", store.delete("there", options));
      await rejectsWith("platform.aborted", keysOf(store, "", options.signal));
      assert.deepEqual(await keysOf(store, ""), ["there"]);
    },
  ],
];

const KEY_CASES: readonly Case[] = [
  [
    "a bad key is refused by every operation",
    async (store) => {
      const long = ["x".repeat(KEY_PART_LENGTH_MAX + 1), Array(KEY_LENGTH_MAX).fill("x").join("/")];
      const bad = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".a",
        "a/.b",
        "A",
        "ä",
        "a b",
        "a\0b",
        "tmp",
        "tmp/a",
        "a\\b",
      ];
      for (const key of [...bad, ...long]) {
        await rejectsWith("store.bad-key", store.put(key, [bytes("1")]));
        await rejectsWith("store.bad-key", store.get(key));
        await rejectsWith("store.bad-key", store.getRange(key, { offset: 0, length: 1 }));
        await rejectsWith("store.bad-key", store.head(key));
        await rejectsWith("store.bad-key", store.delete(key));
      }
      for (const prefix of ["/", "a//", "../", "A", ".", "tmp/"]) {
        await rejectsWith("store.bad-key", keysOf(store, prefix));
      }
      assert.deepEqual(await keysOf(store, ""), []);
    },
  ],
  [
    "every key that is allowed works, the longest too",
    async (store) => {
      const part = "a".repeat(KEY_PART_LENGTH_MAX);
      const keys = ["a.b-c_d/0", `${part}/${part}/b`, "0000.history", "-x", "_x", "tmp-not/a", "x/tmp/y"].sort();
      for (const key of keys) await store.put(key, [bytes(key)]);
      for (const key of keys) assert.equal((await store.get(key)).toString(), key);
      assert.deepEqual(await keysOf(store, ""), keys);
    },
  ],
  [
    "a key is never both an object and a folder",
    async (store) => {
      await store.put("a/b", [bytes("1")]);
      await store.put("c", [bytes("2")]);
      await rejectsWith("store.bad-key", store.put("a", [bytes("3")]));
      await rejectsWith("store.bad-key", store.put("c/d", [bytes("4")]));
      await rejectsWith("store.bad-key", store.put("c/d/e", [bytes("5")]));
      await store.delete("a/b");
      await rejectsWith("store.bad-key", store.put("a", [bytes("6")]));
      assert.deepEqual(await keysOf(store, ""), ["c"]);
    },
  ],
];

const LIST_CASES: readonly Case[] = [
  [
    "a listing is in key order across folders, and no object is missed",
    async (store) => {
      const keys = ["a", "a-b", "a.b", "a0", "b/c", "b-c/d", "b.c/d", "b/c.d", "b0", "b/d/e/f", "b/d-e", "z/z"];
      for (const key of keys) await store.put(key, [bytes(key)]);
      assert.deepEqual(await keysOf(store, ""), keys.toSorted());
    },
  ],
  [
    "a prefix chooses what begins with it, in the middle of a name or at a folder",
    async (store) => {
      for (const key of ["ab/cd/1", "ab/cd/2", "ab/ce", "ab-c", "b"]) await store.put(key, [bytes("1")]);
      assert.deepEqual(await keysOf(store, "ab"), ["ab-c", "ab/cd/1", "ab/cd/2", "ab/ce"]);
      assert.deepEqual(await keysOf(store, "ab/"), ["ab/cd/1", "ab/cd/2", "ab/ce"]);
      assert.deepEqual(await keysOf(store, "ab/c"), ["ab/cd/1", "ab/cd/2", "ab/ce"]);
      assert.deepEqual(await keysOf(store, "ab/cd"), ["ab/cd/1", "ab/cd/2"]);
      assert.deepEqual(await keysOf(store, "ab/cd/2"), ["ab/cd/2"]);
      assert.deepEqual(await keysOf(store, "b/"), []);
      assert.deepEqual(await keysOf(store, "no/such/"), []);
      assert.deepEqual(await keysOf(store, "c"), []);
    },
  ],
  [
    "a listing stops on request between two objects",
    async (store) => {
      for (let index = 0; index < 40; index += 1) await store.put(`a/${index}`, [bytes("1")]);
      const stop = new AbortController();
      const seen: string[] = [];
      const listing = (async () => {
        for await (const { key } of store.list("", { signal: stop.signal })) {
          seen.push(key);
          stop.abort();
        }
      })();
      await rejectsWith("platform.aborted", listing);
      assert.ok(seen.length < 40, `${seen.length} objects came after the stop`);
    },
  ],
];

const RACE_CASES: readonly Case[] = [
  [
    "of eight puts of one key at once exactly one wins, and its bytes stay",
    async (store) => {
      for (let round = 0; round < 5; round += 1) {
        const key = `races/${round}`;
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, index) => store.put(key, [bytes(`writer ${index}`)])),
        );
        const winners = results.flatMap((result, index) => (result.status === "fulfilled" ? [index] : []));
        assert.equal(winners.length, 1);
        for (const result of results) {
          if (result.status === "rejected") await rejectsWith("store.object-exists", Promise.reject(result.reason));
        }
        assert.equal((await store.get(key)).toString(), `writer ${winners[0]}`);
        await rejectsWith("store.object-exists", store.put(key, [bytes("late")]));
      }
    },
  ],
  [
    "puts of many keys at once in new folders all succeed",
    async (store) => {
      const keys = Array.from({ length: 60 }, (_, index) => `deep/${index % 3}/${index % 7}/${index}`);
      await Promise.all(keys.map((key) => store.put(key, [bytes(key)])));
      assert.deepEqual(await keysOf(store, "deep/"), keys.toSorted());
    },
  ],
  [
    "a listing during puts and deletes holds all that was acknowledged before it began",
    async (store) => {
      const acknowledged = new Set<string>();
      const writer = (async () => {
        for (let index = 0; index < 120; index += 1) {
          await store.put(`f${index % 9}/${index}`, [bytes("1")]);
          acknowledged.add(`f${index % 9}/${index}`);
          const gone = `f${index % 9}/fleeting-${index}`;
          await store.put(gone, [bytes("2")]);
          await store.delete(gone);
        }
      })();
      let done = false;
      const finished = writer.finally(() => {
        done = true;
      });
      while (!done) {
        const before = [...acknowledged];
        const listed = new Set(await keysOf(store, ""));
        assert.deepEqual(
          before.filter((key) => !listed.has(key)),
          [],
        );
      }
      await finished;
      assert.deepEqual(await keysOf(store, ""), [...acknowledged].sort());
    },
  ],
];

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

async function keysOf(store: Store, prefix: string, signal?: AbortSignal): Promise<readonly string[]> {
  const found: ObjectFacts[] = [];
  for await (const facts of store.list(prefix, { signal })) found.push(facts);
  for (const { key, sizeBytes } of found) assert.ok(sizeBytes >= 0, `${key} has a size`);
  return found.map(({ key }) => key);
}

async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.equal(error instanceof Error && "code" in error ? error.code : error, code);
    return true;
  });
}
