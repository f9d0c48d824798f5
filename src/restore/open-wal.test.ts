import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { contentOf, goAstray } from "../../test/support/small-nodes.ts";
import {
  differencesFrom,
  NO_PROCESSES,
  planSmall,
  RESTORED_FOLDER,
  restoreSmall,
  SMALL_SERVER,
  smallCouldStart,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { type Lsn, lsnAdd, parseLsn, segmentName } from "../postgres/lsn.ts";
import { segmentKey } from "../vault/names.ts";
import { putSegment } from "../vault/wal-store.ts";
import { prepareDelta, prepareRestore, runRestore } from "./restore.ts";
import type { RecoveryTarget } from "./target.ts";

const vault = await createTestVault();
const backup = await takeSmallBackup(vault);
const { systemId, walSegmentBytes, timeline } = backup;
const from = { vault, backup };

/** Three segments of records behind the one of the backup. */
const segments: string[] = [];
const start = parseLsn("0/400000");
const records = Array.from({ length: 3 * 1024 }, () => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(980, 1) }));
const { bytes: wal } = writeSyntheticWal({ start, walSegmentBytes, timeline, systemId: BigInt(systemId) }, records);
for (let at = 0; at < 3 * walSegmentBytes; at += walSegmentBytes) {
  const segment = segmentName({ timeline, lsn: lsnAdd(start, at), walSegmentBytes });
  segments.push(segment);
  await putSegment(vault, { systemId, segment, bytes: wal.subarray(at, at + walSegmentBytes) }, {});
}

async function exchangeFor(name: string, bytes: Buffer): Promise<void> {
  await vault.store.delete(name, {});
  await vault.store.put(name, [bytes], {});
}

/** Damages objects while `work` goes on. */
async function withDamage(
  names: readonly string[],
  work: () => Promise<void>,
  damage = (bytes: Buffer): Buffer => bytes.fill(0xa5, 200, 300),
): Promise<void> {
  const sound = await Promise.all(names.map((name) => vault.store.get(name, {})));
  const exchange = async (change: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const [index, name] of names.entries()) {
      await exchangeFor(name, change(Buffer.from(sound[index] ?? assert.fail())));
    }
  };
  await exchange(damage);
  try {
    await work();
  } finally {
    await exchange((bytes) => bytes);
  }
}

async function packsOf(): Promise<readonly string[]> {
  const packs: string[] = [];
  for await (const { key } of vault.store.list("packs/", {})) packs.push(key);
  return packs;
}

/** A stopped server's folder, with WAL and a history that are its own. */
async function ownFolder(): Promise<Files> {
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await restoreSmall(from, files);
  await goAstray(files, "astray");
  for (const name of [...segments, "00000003.history"]) {
    const handle = await files.open(path.join(RESTORED_FOLDER, "pg_wal", name), "create");
    await handle.write(Buffer.from(`the server's own ${name}`), 0);
    await handle.close();
  }
  return files;
}

async function restoreInPlace(
  files: Files,
  target: RecoveryTarget = { kind: "latest" },
  beforeRun = async (): Promise<void> => undefined,
): Promise<readonly string[]> {
  const notices: string[] = [];
  const { tools, place } = await planSmall(from, files, "delta");
  const asked = { ...tools, processes: NO_PROCESSES, onCompared: () => undefined };
  const plan = await prepareRestore(asked, { systemId, target, acceptGap: false }, {});
  const delta = await prepareDelta(asked, plan, place, {});
  await beforeRun();
  const onNotice = (text: string): void => void notices.push(text);
  await runRestore({ ...tools, onNotice }, plan, place, { delta }).catch((error: unknown) => {
    assert.ok(isLifeboatError(error, "vault.object-damaged"), String(error));
    notices.push(error.message);
  });
  return notices;
}

test("a segment of the vault that does not open leaves a folder as it is, and the error says to where a restore goes without it", async () => {
  const files = await ownFolder();
  const before = await contentOf(files, RESTORED_FOLDER);
  const damaged = segments[2] ?? "";
  let to: Lsn | undefined;
  await withDamage([segmentKey({ systemId, segment: damaged })], async () => {
    await assert.rejects(restoreInPlace(files), (error) => {
      assert.ok(isLifeboatError(error, "vault.object-damaged"), String(error));
      assert.match(error.message, new RegExp(`segment ${damaged} .* nothing in ${RESTORED_FOLDER} was changed`));
      to = parseLsn(/--to-lsn (\S+) restores/.exec(error.remedy)?.[1] ?? "");
      return true;
    });
    assert.deepEqual(await contentOf(files, RESTORED_FOLDER), before);
    assert.ok(to !== undefined && to > lsnAdd(start, 2 * walSegmentBytes - 2048), String(to));
    assert.deepEqual(await restoreInPlace(files, { kind: "lsn", lsn: to, inclusive: true }), []);
    assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
  });
});

test("a pack that is not as long as it was stored leaves a folder as it is", async () => {
  const files = await ownFolder();
  const before = await contentOf(files, RESTORED_FOLDER);
  const longer = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(1)]);
  const refused = () => assert.rejects(restoreInPlace(files), { code: "vault.object-damaged" });
  await withDamage(await packsOf(), refused, longer);
  assert.deepEqual(await contentOf(files, RESTORED_FOLDER), before);
});

test("a chunk of the backup that does not open ends a restore in place with the folder's own WAL and histories still there, and the next goes on", async () => {
  const files = await ownFolder();
  const own = [...segments, "00000003.history", "0000000700000000000000AA"].map((name) => `pg_wal/${name}`);
  const before = await contentOf(files, RESTORED_FOLDER);
  await withDamage(await packsOf(), async () => {
    const [notice = "", message = ""] = await restoreInPlace(files);
    assert.match(message, /packs\//);
    assert.match(notice, /cannot be started now: some .* Its own WAL and histories are still in \S+pg_wal, /);
    assert.ok(!(await smallCouldStart(files)));
    const after = await contentOf(files, RESTORED_FOLDER);
    for (const name of own) assert.equal(after.get(name), before.get(name), name);
  });
  // It cannot be started, and its WAL may still be the only copy.
  await withDamage([segmentKey({ systemId, segment: segments[2] ?? "" })], async () => {
    await assert.rejects(restoreInPlace(files), { code: "vault.object-damaged" });
    assert.equal((await contentOf(files, RESTORED_FOLDER)).get(own[0] ?? ""), before.get(own[0] ?? ""));
  });
  assert.deepEqual(await restoreInPlace(files), []);
  assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
  const after = await contentOf(files, RESTORED_FOLDER);
  assert.equal(after.get(`pg_wal/${segments[0]}`), wal.subarray(0, walSegmentBytes).toString("latin1"));
  assert.ok(!after.has("pg_wal/0000000700000000000000AA"));
});

test("a restore in place that goes on does not say that the folder's own WAL is there, which the one before may have removed", async () => {
  const files = await ownFolder();
  const damaged = segmentKey({ systemId, segment: segments[2] ?? "" });
  const sound = await vault.store.get(damaged, {});
  // It opened when it was looked at.
  const [removed = ""] = await restoreInPlace(files, undefined, async () => {
    await exchangeFor(damaged, Buffer.from(sound).fill(0xa5, 200, 300));
  });
  await exchangeFor(damaged, sound);
  assert.match(removed, /its own WAL was removed, and that of the vault is not all laid/);
  await files.remove(path.join(RESTORED_FOLDER, "base/5/16388"));
  await withDamage(await packsOf(), async () => {
    const [notice = ""] = await restoreInPlace(files);
    assert.match(notice, /cannot be started now: some .* may have removed its own WAL .* is still in \S+pg_wal, /);
  });
});
