import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { restoreTools, withFolder } from "../../test/support/backups.ts";
import { repetitions } from "../../test/support/effort.ts";
import { type Recording, takeRecorded } from "../../test/support/recordings.ts";
import {
  assertRestored,
  couldStart,
  restoreRecorded,
  type Target,
  targetIn,
} from "../../test/support/restored-files.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { unsyncedFiles } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { type FileFault, faultyFiles } from "../platform/faulty-files.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { ManifestWriter, readManifest } from "../vault/manifest.ts";
import { backupName, segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import { type PricedPlan, prepareRestore, runRestore } from "./restore.ts";
import { RESTORE_LOCK, UNFINISHED_MARKER } from "./target-guard.ts";

const cluster = await recordSmallCluster();
const vault = await createTestVault();
const backup = await takeRecorded(cluster.first, vault);

async function failureOf(work: Promise<unknown>): Promise<LifeboatError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    assert.ok(isLifeboatError(error), String(error));
    assert.match(error.remedy, /^[A-Z].+\.$/);
    return error;
  }
}

/** What a cut restore left is cleared by the next one, or is whole already. */
async function assertCutShort(target: Target, at: string): Promise<void> {
  if (!(await couldStart(target))) return;
  await assertRestored(cluster.first, target);
  const again = await failureOf(restoreRecorded(vault, backup, target));
  assert.equal(again?.code, "restore.target-not-empty", at);
  for (const folder of [target.folder, target.tablespacesUnder]) await systemFiles.removeTree(folder);
}

/** The effects at the end, around the control file, are the ones that matter: none of them is passed over. */
const LAST_EFFECTS = 50;
/** Of the others, which are alike, every so many-th; in the long run each. */
const STRIDE = Math.ceil(4 / repetitions(1));

/** Fails effect after effect of restores into one and the same folder; each has to clear what the one before left. */
async function sweep(fault: Omit<FileFault, "at">, offset: number): Promise<void> {
  await withFolder(async (folder) => {
    const target = targetIn(folder);
    const quiet = faultyFiles(unsyncedFiles);
    await restoreRecorded(vault, backup, target, { files: quiet.files });
    await assertRestored(cluster.first, target);
    for (const each of [target.folder, target.tablespacesUnder]) await systemFiles.removeTree(each);
    let swept = 0;
    for (let at = 1 + offset; ; at += at < quiet.effects.length - LAST_EFFECTS ? STRIDE : 1) {
      const faulty = faultyFiles(unsyncedFiles, { ...fault, at });
      const error = await failureOf(restoreRecorded(vault, backup, target, { files: faulty.files }));
      if (faulty.effects.length < at) {
        assert.equal(error, undefined);
        break;
      }
      const effect = faulty.effects[at - 1];
      const where = `effect ${at}: ${effect?.operation} ${effect?.path}`;
      faulty.assertFired();
      assert.ok(error !== undefined, where);
      assert.equal(error.code, fault.errno === "ENOSPC" ? "platform.disk-full" : "platform.file-failed", where);
      await assertCutShort(target, where);
      swept += 1;
    }
    await assertRestored(cluster.first, target);
    assert.ok(swept > LAST_EFFECTS + 10, `only ${swept} effects were failed`);
  });
}

describe("a restore onto a disk that fails, at one effect after the other,", () => {
  for (const { name, offset, fault } of [
    { name: "before it was done", offset: 0, fault: { errno: "EIO", when: "before" } },
    { name: "after it was done", offset: 1, fault: { errno: "EIO", when: "after" } },
    { name: "half done, the disk full", offset: 2, fault: { errno: "ENOSPC", when: "short" } },
    { name: "and for good", offset: 3, fault: { errno: "EIO", when: "before", forever: true } },
  ] as const) {
    test(`${name}: it cannot start and the next restore clears it, or it is whole`, () => sweep(fault, offset));
  }
});

describe("a restore from a store that fails", () => {
  test("at each effect in turn: it cannot start, and the next restore clears it", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      for (let at = 1; ; at += 1) {
        const faulty = faultyStore({ store: vault.store, clock: systemClock, faults: [{ at, kind: "fail-before" }] });
        const error = await failureOf(restoreRecorded({ ...vault, store: faulty.store }, backup, target));
        if (faulty.effects.length < at) break;
        assert.equal(error?.code, "store.failed");
        assert.equal(await couldStart(target), false);
      }
      await assertRestored(cluster.first, target);
    });
  });
});

describe("a restore that is stopped", () => {
  test("at each moment it reports: the step is named, it cannot start, and the next restore clears it", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      for (let at = 1; ; at += 1) {
        const controller = new AbortController();
        let reports = 0;
        const onProgress = (): void => {
          reports += 1;
          if (reports === at) controller.abort();
        };
        const { signal } = controller;
        const error = await failureOf(restoreRecorded(vault, backup, target, { signal, onProgress }));
        if (reports < at) break;
        assert.equal(error?.code, "platform.aborted");
        assert.equal(await couldStart(target), false);
      }
      await assertRestored(cluster.first, target);
    });
  });
});

describe("a restore is refused, and nothing touched,", () => {
  const refused = async (body: (target: Target) => Promise<unknown>, code: LifeboatError["code"], files?: Files) => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await body(target);
      const before = await treeOf(folder);
      const error = await failureOf(restoreRecorded(vault, backup, target, files === undefined ? {} : { files }));
      assert.equal(error?.code, code, error?.message);
      assert.deepEqual(await treeOf(folder), before);
    });
  };

  test("when the target is a data directory, or a server's lock file lies in it", async () => {
    await refused((target) => restoreRecorded(vault, backup, target), "restore.target-not-empty");
    const withLock = async (target: Target) => {
      await restoreRecorded(vault, backup, target);
      await write(path.join(target.folder, "postmaster.pid"), "1\n");
    };
    await refused(withLock, "restore.target-in-use");
  });

  test("when the target is a file", async () => {
    await refused((target) => write(target.folder, "precious"), "restore.target-not-empty");
  });

  test("when a tablespace's folder holds files, be they of a finished restore", async () => {
    const oid = String(cluster.first.begin.tablespaces[0]?.oid);
    await refused(async (target) => {
      await restoreRecorded(vault, backup, target);
      // As if the last thing a restore does had not happened: the marker alone gives no leave.
      await write(path.join(target.tablespacesUnder, oid, UNFINISHED_MARKER), "A restore is being written here.\n");
      await systemFiles.rename(target.folder, `${target.folder}-moved`);
    }, "restore.target-not-empty");
  });

  test("when a tablespace was given no place", async () => {
    await withFolder(async (folder) => {
      const tools = restoreTools(vault, backup);

      const request = { systemId: backup.systemId, target: { kind: "latest" }, acceptGap: false } as const;
      const plan = await prepareRestore(tools, request, {});
      const tablespaces = { byOid: new Map<number, string>(), under: undefined };
      const place = { folder: path.join(folder, "restored"), tablespaces, owner: undefined };
      assert.equal((await failureOf(runRestore(tools, plan, place, {})))?.code, "restore.tablespace-unmapped");
      assert.deepEqual(await treeOf(folder), []);
    });
  });

  test("when the file system has too little space, each file system asked for its own part", async () => {
    const { dataBytes } = backup;
    const short: Files = { ...unsyncedFiles, space: async () => ({ freeBytes: dataBytes, totalBytes: 0, device: 1 }) };
    await refused(async () => undefined, "restore.no-space", short);
    const plenty = { freeBytes: 1024 ** 4, totalBytes: 0, device: 1 };
    const tablespaceFull: Files = { ...unsyncedFiles, space: async (file) => (isTablespace(file) ? none : plenty) };
    await withFolder(async (folder) => {
      await systemFiles.makeFolder(targetIn(folder).tablespacesUnder);
      const error = await failureOf(restoreRecorded(vault, backup, targetIn(folder), { files: tablespaceFull }));
      assert.equal(error?.code, "restore.no-space");
      assert.match(error?.message ?? "", /tablespaces\/\d+ has 0 B free, the restore needs [\d.]+ [KMG]?i?B$/);
    });
  });
});

const none = { freeBytes: 0, totalBytes: 0, device: 2 };

function isTablespace(file: string): boolean {
  return file.includes("/tablespaces");
}

test("a second restore into a folder that is being written is refused, and the first one completes", async () => {
  await withFolder(async (folder) => {
    const target = targetIn(folder);
    const elsewhere = { folder: path.join(folder, "elsewhere"), tablespacesUnder: target.tablespacesUnder };
    const others: Promise<LifeboatError | undefined>[] = [];
    const onProgress = (): void => {
      if (others.length > 0) return;
      // Another data directory, but the same folder for its tablespaces, is no better.
      for (const each of [target, elsewhere]) others.push(failureOf(restoreRecorded(vault, backup, each)));
    };
    await restoreRecorded(vault, backup, target, { onProgress });
    const codes = (await Promise.all(others)).map((error) => error?.code);
    assert.deepEqual(codes, ["restore.target-in-use", "restore.target-in-use"]);
    await assertRestored(cluster.first, target);
    assert.deepEqual(
      (await systemFiles.list(folder)).map(({ name }) => name),
      ["restored", "tablespaces"],
    );
    assert.equal(await systemFiles.stat(path.join(target.folder, RESTORE_LOCK)), undefined);
  });
});

describe("a restore is refused before anything is written", () => {
  const { systemId } = backup;
  const request = { systemId, target: { kind: "latest" }, backupId: undefined, acceptGap: false } as const;
  const refused = async (changing: Vault, code: LifeboatError["code"], says: RegExp) => {
    const error = await failureOf(prepareRestore(restoreTools(changing, backup), request, {}));
    assert.equal(error?.code, code, error?.message);
    assert.match(error?.message ?? "", says);
  };
  const segments = (recording: Recording): readonly string[] =>
    [...recording.wal.keys()].map((segment) => segmentKey({ systemId, segment }));

  test("when WAL that a backup or the newest point needs is missing, naming the hole", async () => {
    const changing = await createTestVault();
    await takeRecorded(cluster.first, changing);
    // More WAL, and more than one segment of it after the backup's own.
    const [last = ""] = [...cluster.first.wal.keys()].toReversed();
    const bytes = cluster.first.wal.get(last) ?? Buffer.alloc(0);
    const later = `${last.slice(0, 16)}${(Number.parseInt(last.slice(16), 16) + 2).toString(16).toUpperCase().padStart(8, "0")}`;
    await putSegment(changing, { systemId, segment: later, bytes }, {});
    await refused(changing, "restore.wal-gap", /^WAL is missing after .*1 segments from/);
    for (const key of segments(cluster.first)) await changing.store.delete(key);
    await refused(changing, "restore.wal-gap", /lacks WAL that makes it consistent/);
  });

  test("when there is no backup, naming those whose records cannot be read", async () => {
    const changing = await createTestVault();
    await refused(changing, "restore.no-backup", /has no backup of this system$/);
    const taken = await takeRecorded(cluster.first, changing);
    const key = backupName(taken, "announced");
    const bytes = await changing.store.get(key);
    await changing.store.delete(key);
    await changing.store.put(key, [bytes.subarray(0, -1)]);
    await refused(changing, "restore.no-backup", new RegExp(`cannot be read: ${taken.backupId}$`));
  });

  test("when a backup's manifest names no control file", async () => {
    const changing = await createTestVault();
    const taken = await takeRecorded(cluster.first, changing);
    const { header, end } = await readManifest(changing, taken, {}, {});
    const writer = new ManifestWriter(changing, header);
    await changing.store.delete(backupName(taken, "manifest"));
    const { name, parts } = await writer.end({ ...end, fileCount: 0, dataBytes: 0, chunkCount: 0 });
    await changing.store.put(name, parts);
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      assert.equal((await failureOf(restoreRecorded(changing, taken, target)))?.code, "restore.image-incomplete");
      assert.equal(await couldStart(target), false);
    });
  });
});

describe("WAL that changes between plan and restore", () => {
  const changed = async (
    change: (changing: Vault, plan: PricedPlan) => Promise<void>,
  ): Promise<LifeboatError["code"]> => {
    const changing = await createTestVault();
    const taken = await takeRecorded(cluster.first, changing);
    return withFolder(async (folder) => {
      const target = targetIn(folder);
      const error = await failureOf(restoreChanging(changing, taken, target, change));
      assert.equal(await couldStart(target), false);
      assert.ok(error !== undefined);
      return error.code;
    });
  };
  const wal = async (changing: Vault): Promise<readonly string[]> => {
    const keys: string[] = [];
    for await (const { key } of changing.store.list("wal/")) keys.push(key);
    return keys;
  };

  test("is missed by name when it is gone", async () => {
    const code = await changed(async (changing) => {
      for (const key of await wal(changing)) await changing.store.delete(key);
    });
    assert.equal(code, "wal.segment-missing");
  });

  test("is refused when its first page is not that of the segment, or of another system", async () => {
    for (const byte of [0, 8, 24]) {
      const code = await changed(async (changing, plan) => {
        for (const key of await wal(changing)) await changing.store.delete(key);
        for (const [segment, bytes] of cluster.first.wal) {
          const harmed = Buffer.from(bytes);
          harmed[byte] = (harmed[byte] ?? 0) ^ 0x55;
          await putSegment(changing, { systemId: plan.systemId, segment, bytes: harmed }, {});
        }
      });
      assert.equal(code, "wal.segment-damaged", `byte ${byte}`);
    }
  });

  test("is refused when it has another length", async () => {
    const code = await changed(async (changing, plan) => {
      for (const key of await wal(changing)) await changing.store.delete(key);
      for (const [segment, bytes] of cluster.first.wal) {
        await putSegment(changing, { systemId: plan.systemId, segment, bytes: bytes.subarray(0, 8192) }, {});
      }
    });
    assert.equal(code, "wal.segment-damaged");
  });
});

async function restoreChanging(
  changing: Vault,
  taken: BackupRecord,
  target: Target,
  change: (changing: Vault, plan: PricedPlan) => Promise<void>,
): Promise<void> {
  const tools = { ...restoreTools(changing, taken), files: unsyncedFiles };
  const request = { systemId: taken.systemId, target: { kind: "latest" }, acceptGap: false } as const;
  const plan = await prepareRestore(tools, request, {});
  await change(changing, plan);
  const tablespaces = { byOid: new Map<number, string>(), under: target.tablespacesUnder };
  await runRestore(tools, plan, { folder: target.folder, tablespaces, owner: undefined }, {});
}

async function write(file: string, text: string): Promise<void> {
  await systemFiles.makeFolder(path.dirname(file));
  const handle = await systemFiles.open(file, "create");
  await handle.write(Buffer.from(text), 0);
  await handle.close();
}

/** Every file and link below a folder with its size; empty folders above a target may stay. */
async function treeOf(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { name, kind } of await systemFiles.list(folder)) {
    const file = path.join(folder, name);
    if (kind === "folder") found.push(...(await treeOf(file)));
    else found.push(`${file} ${(await systemFiles.stat(file))?.sizeBytes}`);
  }
  return found;
}
