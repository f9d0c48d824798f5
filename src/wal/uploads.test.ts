import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../test/support/receivers.ts";
import { createTestVault, exchangeableStore } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { fileErrorOf } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { blobKeyId } from "../vault/blob.ts";
import { createDataKey } from "../vault/keys.ts";
import { keyWrapName, segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { getSegment, listWal, putSegment } from "../vault/wal-store.ts";
import type { SpoolFile } from "./spool-files.ts";
import { Uploads } from "./uploads.ts";

const SYSTEM = "7000000000000000001" as SystemId;

function file(number: number): SpoolFile {
  const segment = `0000000100000000000000${number.toString(16).toUpperCase().padStart(2, "0")}`;
  const place = { timeline: 1 as Timeline, start: 0n as Lsn, end: 4n as Lsn };
  return { kind: "complete", path: `/spool/${segment}`, segment, ...place, sizeBytes: 4 };
}

async function queue(faults: Parameters<typeof faultyStore>[0]["faults"] = []) {
  const vault = await createTestVault();
  const removed: string[] = [];
  const faulty = faultyStore({ store: vault.store, clock: systemClock, faults });
  const uploads = new Uploads({
    vault: { ...vault, store: faulty.store },
    clock: { ...systemClock, sleep: (_durationMs, options) => systemClock.sleep(1, options) },
    random: systemRandom,
    systemId: () => SYSTEM,
    readFile: async (path) => Buffer.from(path.slice(-4)),
    remove: async ({ segment }) => void removed.push(segment),
  });
  return { vault, uploads, removed };
}

/** Uploads that read as `look` lets them. */
function uploadsReading(vault: Vault, look: (path: string) => void, removed: string[] = []): Uploads {
  return new Uploads({
    vault,
    clock: { ...systemClock, sleep: (_durationMs, options) => systemClock.sleep(1, options) },
    random: systemRandom,
    systemId: () => SYSTEM,
    readFile: async (path) => {
      look(path);
      return Buffer.from(path.slice(-4));
    },
    remove: async ({ segment }) => void removed.push(segment),
  });
}

test("segments are stored in their order, and leave the spool after that", async () => {
  const { vault, uploads, removed } = await queue();
  const stop = new AbortController();
  uploads.add(file(1));
  uploads.add(file(1));
  assert.equal(uploads.count, 1);
  assert.equal(uploads.bytes, 4);
  const running = uploads.run(stop.signal);
  await eventually("the first is stored", async () => uploads.count === 0);
  uploads.add(file(2));
  uploads.add(file(3));
  await eventually("the others are stored", async () => uploads.count === 0);
  stop.abort();
  await running;
  assert.deepEqual(
    removed,
    [file(1), file(2), file(3)].map(({ segment }) => segment),
  );
  assert.deepEqual((await listWal(vault, { systemId: SYSTEM }, {})).segments, removed);
  assert.equal(uploads.bytes, 0);
});

/** Runs them from this file on until nothing waits. */
async function storeFrom(uploads: Uploads, number: number): Promise<void> {
  const stop = new AbortController();
  uploads.add(file(number));
  const running = uploads.run(stop.signal);
  await eventually("all are stored", async () => uploads.count === 0);
  stop.abort();
  await running;
}

test("a segment that nobody waits behind is stored with rests, one that has come behind without", async () => {
  const { vault } = await queue();
  const slept: number[] = [];
  const uploads: Uploads = new Uploads({
    vault: {
      ...vault,
      store: {
        ...vault.store,
        list: (...of) => vault.store.list(...of),
        get: (...of) => vault.store.get(...of),
        put: async (key, parts, options) => {
          await options?.between?.();
          if (key.endsWith(file(1).segment)) for (const number of [2, 3]) uploads.add(file(number));
          await options?.between?.();
          await vault.store.put(key, parts, options);
        },
      },
    },
    clock: { ...systemClock, sleep: async (ms) => void slept.push(ms) },
    random: systemRandom,
    systemId: () => SYSTEM,
    readFile: async (path) => Buffer.from(path.slice(-4)),
    remove: async () => undefined,
  });
  await storeFrom(uploads, 1);
  // Before the others came, and twice when the last one was alone.
  assert.deepEqual(slept, [10, 10, 10]);
});

test("a store that fails is asked again, and the failure is told until then", async () => {
  const { vault, uploads, removed } = await queue([
    { kind: "fail-before", at: 1, on: "put" },
    { kind: "disk-full", at: 2, on: "put" },
    { kind: "fail-after", at: 3, on: "put" },
  ]);
  const stop = new AbortController();
  uploads.add(file(1));
  const running = uploads.run(stop.signal);
  await eventually("the failure is told", async () => uploads.failure !== undefined || removed.length > 0);
  await eventually("it is stored", async () => uploads.count === 0);
  assert.equal(uploads.failure, undefined);
  stop.abort();
  await running;
  const stored = await getSegment(vault, { systemId: SYSTEM, segment: file(1).segment }, {});
  assert.ok(stored?.equals(Buffer.from(file(1).path.slice(-4))));
});

test("a segment that was stored while the spool was listed, and is put in the queue once more, is done", async (of) => {
  const { vault } = await queue();
  await putSegment(vault, { systemId: SYSTEM, segment: file(1).segment, bytes: Buffer.from("0001") }, {});
  const gone = new Set([file(1).path]);
  const stop = new AbortController();
  of.after(() => stop.abort());
  const uploads = uploadsReading(vault, (path) => {
    if (gone.has(path)) throw fileErrorOf("read", path, "ENOENT");
  });
  for (const number of [1, 2]) uploads.add(file(number));
  const running = uploads.run(stop.signal);
  await eventually("nothing waits behind it", async () => uploads.count === 0);
  // A file that is gone and that the vault does not have is not taken for stored.
  gone.add(file(3).path);
  uploads.add(file(3));
  await eventually("the failure is told", async () => uploads.failure !== undefined);
  assert.ok(uploads.count === 1 && uploads.headSince !== undefined);
  stop.abort();
  await running;
  assert.equal((await listWal(vault, { systemId: SYSTEM }, {})).segments.length, 2);
});

test("other bytes under the name of a segment end the uploads, and the segment stays in the spool", async () => {
  const { vault, uploads, removed } = await queue();
  await putSegment(vault, { systemId: SYSTEM, segment: file(1).segment, bytes: Buffer.from("else") }, {});
  uploads.add(file(1));
  const running = uploads.run(new AbortController().signal);
  await assert.rejects(running, (error) => isLifeboatError(error, "wal.segment-conflict"));
  assert.deepEqual(removed, []);
  assert.equal(uploads.count, 1);
});

test("while another vault lies where the one was that is open, segments stay in the spool, and go into the one that is put back", async (of) => {
  const mine = await createTestVault();
  const others = await createTestVault();
  const path = exchangeableStore(mine.store);
  // At first it is exchanged while a segment is on its way.
  const store: Store = {
    ...path.store,
    put: async (...of) => {
      await path.store.put(...of);
      path.exchange(others.store);
    },
  };
  const removed: string[] = [];
  const uploads = uploadsReading({ ...mine, store }, () => undefined, removed);
  const stop = new AbortController();
  of.after(() => stop.abort());
  const running = uploads.run(stop.signal);
  for (const number of [1, 2]) uploads.add(file(number));
  const failed = async (): Promise<boolean> => isLifeboatError(uploads.failure?.error, "vault.exchanged");
  await eventually("the exchange is told", failed);
  const error = uploads.failure?.error;
  assert.ok(isLifeboatError(error) && error.retryable && error.message.includes(others.id));
  // Nor is one stored where there is none, or a copy that lacks the data key.
  path.exchange(openMemoryStore({ clock: systemClock }));
  await eventually("that it is gone is told", async () => /no vault/.test(String(uploads.failure?.error)));
  const older = openMemoryStore({ clock: systemClock });
  await older.put("vault.json", [await mine.store.get("vault.json")]);
  path.exchange(older);
  await eventually("the older copy is told", async () => /data key/.test(String(uploads.failure?.error)));
  assert.deepEqual(removed, []);
  assert.equal(uploads.count, 2);
  assert.deepEqual((await listWal(others, { systemId: SYSTEM }, {})).segments, []);
  const { put } = path.store;
  store.put = put;
  path.exchange(mine.store);
  await eventually("all are stored", async () => uploads.count === 0);
  stop.abort();
  await running;
  assert.deepEqual((await listWal(mine, { systemId: SYSTEM }, {})).segments, removed);
});

test("the keys are renewed before each segment is sealed", async () => {
  const { vault } = await queue();
  const newer = createDataKey(systemRandom);
  const kept = { dataKey: vault.dataKey };
  const uploads = new Uploads({
    vault: {
      ...vault,
      get dataKey() {
        return kept.dataKey;
      },
    },
    renewKeys: async (wraps) => {
      assert.deepEqual([...wraps.values()], [vault.dataKey.id]);
      kept.dataKey = newer;
      await vault.store.put(keyWrapName({ keyId: newer.id, wrapId: "0".repeat(16) }), []);
    },
    clock: systemClock,
    random: systemRandom,
    systemId: () => SYSTEM,
    readFile: async (path) => Buffer.from(path.slice(-4)),
    remove: async () => undefined,
  });
  await storeFrom(uploads, 1);
  const name = segmentKey({ systemId: SYSTEM, segment: file(1).segment });
  assert.equal(blobKeyId(name, await vault.store.get(name)), newer.id);
});

test("uploads with nothing to do end when they are told to", async () => {
  const { uploads } = await queue();
  const stop = new AbortController();
  const running = uploads.run(stop.signal);
  stop.abort();
  await running;
});
