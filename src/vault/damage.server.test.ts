import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { takeRecorded } from "../../test/support/recordings.ts";
import { assertRestored, couldStart, restoreRecorded, targetIn } from "../../test/support/restored-files.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { createTestVault, TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { type BackupRecord, listBackups } from "./backups.ts";
import { checkVault } from "./check.ts";
import { readManifest } from "./manifest.ts";
import { backupName, KEYS_PREFIX, packName, segmentKey } from "./names.ts";
import { initVault, openVault, type Vault } from "./vault.ts";

const cluster = await recordSmallCluster();

/** A vault with two backups and the names of their objects. */
async function twoBackups() {
  const vault = await createTestVault(openMemoryStore({ clock: systemClock }));
  const first = await namesOf(vault, await takeRecorded(cluster.first, vault), [...cluster.first.wal.keys()]);
  const second = await namesOf(vault, await takeRecorded(cluster.second, vault), [...cluster.second.wal.keys()]);
  return { vault, first, second };
}

type Names = {
  readonly backup: BackupRecord;
  readonly pack: string;
  readonly manifest: string;
  readonly announced: string;
  readonly segment: string;
};

async function namesOf(vault: Vault, backup: BackupRecord, segments: readonly string[]): Promise<Names> {
  const { chunks } = await readManifest(vault, backup, {}, {});
  const [pack] = chunks.packs;
  const segment = segmentKey({ systemId: backup.systemId, segment: segments.at(-1) ?? "" });
  assert.ok(pack !== undefined);
  return {
    backup,
    pack: packName(pack.id),
    manifest: backupName(backup, "manifest"),
    announced: backupName(backup, "announced"),
    segment,
  };
}

async function replace(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.delete(key);
  await store.put(key, [bytes]);
}

/** Ways to damage one object. */
const DAMAGES = {
  "one bit flipped in the middle of": async (store: Store, key: string) => {
    const bytes = await store.get(key);
    const at = bytes.byteLength >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    await replace(store, key, bytes);
  },
  "cut in half:": async (store: Store, key: string) => {
    const bytes = await store.get(key);
    await replace(store, key, bytes.subarray(0, bytes.byteLength >> 1));
  },
  "emptied:": (store: Store, key: string) => replace(store, key, Buffer.alloc(0)),
  "removed:": (store: Store, key: string) => store.delete(key),
} as const;

async function swap(store: Store, one: string, other: string): Promise<void> {
  const [a, b] = [await store.get(one), await store.get(other)];
  await replace(store, one, b);
  await replace(store, other, a);
}

type Expected = {
  /** Objects that are named, whole backups, and whether reading the records alone shows it. */
  readonly objects: readonly string[];
  readonly whole: readonly BackupRecord[];
  readonly broken: readonly BackupRecord[];
  readonly byRecords: boolean;
};

/** The check names the objects and the backups; the restore of each backup does what the check says. */
async function assertFound(vault: Vault, expected: Expected): Promise<void> {
  for (const readData of expected.byRecords ? [false, true] : [true]) {
    const report = await checkVault(vault, { readData, onProgress: () => undefined });
    const found = [...report.findings, ...report.backups.flatMap((each) => each.findings)];
    assert.deepEqual(new Set(found.map(({ object }) => object)), new Set(expected.objects));
    for (const { object, reason } of found) {
      assert.match(reason.code, /^(vault\.object-(damaged|missing)|vault\.key-missing)$/, `${object}: ${reason.code}`);
      assert.ok(reason.message.includes(object), reason.message);
    }
    const whole = report.backups.filter((each) => each.whole).map(({ backup }) => backup.backupId);
    assert.deepEqual(new Set(whole), new Set(expected.whole.map(({ backupId }) => backupId)));
  }
  await assertRestores(vault, expected);
}

async function assertRestores(vault: Vault, expected: Expected): Promise<void> {
  await withFolder(async (folder) => {
    const target = targetIn(folder);
    for (const backup of expected.broken) {
      await assert.rejects(restoreRecorded(vault, backup, target), (error) => {
        assert.ok(isLifeboatError(error), String(error));
        return /^(vault\.object-|vault\.key-missing|restore\.(wal-gap|no-backup))/.test(error.code);
      });
      assert.equal(await couldStart(target), false);
    }
    // Into the same folder: what a restore of a damaged backup left there is cleared.
    for (const backup of expected.whole.slice(0, 1)) {
      await restoreRecorded(vault, backup, target);
      const recording = backup.startLsn === startOf("first") ? cluster.first : cluster.second;
      await assertRestored(recording, target);
    }
  });
}

function startOf(which: "first" | "second"): string {
  const lsn = cluster[which].begin.startLsn;
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

describe("a damaged object is named, and the other backup restores:", () => {
  for (const [name, damage] of Object.entries(DAMAGES)) {
    const bySize = name !== "one bit flipped in the middle of";
    for (const part of ["pack", "manifest", "segment"] as const) {
      test(`${name} a ${part}`, async () => {
        const { vault, first, second } = await twoBackups();
        await damage(vault.store, first[part]);
        await assertFound(vault, {
          objects: [first[part]],
          whole: [second.backup],
          broken: [first.backup],
          byRecords: part === "manifest" || (part === "pack" && bySize) || name === "removed:",
        });
      });
    }
  }

  for (const name of ["one bit flipped in the middle of", "cut in half:", "emptied:"] as const) {
    test(`${name} an announcement`, async () => {
      const { vault, first, second } = await twoBackups();
      await DAMAGES[name](vault.store, first.announced);
      const expected = { objects: [first.announced], whole: [second.backup], broken: [first.backup], byRecords: true };
      await assertFound(vault, expected);
      const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
      assert.deepEqual(report.unreferencedPacks, [], "the pack of an unreadable backup is not called harmless");
    });
  }

  test("removed: an announcement, which leaves an unfinished backup", async () => {
    const { vault, first, second } = await twoBackups();
    await vault.store.delete(first.announced);
    const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
    assert.deepEqual([report.findings, report.unfinished.map((each) => each.backupId)], [[], [first.backup.backupId]]);
    assert.deepEqual(
      report.backups.map(({ backup, whole }) => [backup.backupId, whole]),
      [[second.backup.backupId, true]],
    );
    assert.deepEqual(report.unreferencedPacks, [first.pack]);
  });

  for (const part of ["pack", "manifest", "announced", "segment"] as const) {
    test(`swapped: the ${part} of two backups`, async () => {
      const { vault, first, second } = await twoBackups();
      await swap(vault.store, first[part], second[part]);
      await assertFound(vault, {
        objects: [first[part], second[part]],
        whole: [],
        broken: [first.backup, second.backup],
        byRecords: part === "manifest" || part === "announced",
      });
    });
  }

  test("the object of another vault in its place", async () => {
    const { vault, first, second } = await twoBackups();
    const other = await twoBackups();
    for (const part of ["pack", "manifest", "segment"] as const) {
      await replace(vault.store, first[part], await other.vault.store.get(other.first[part]));
    }
    await assertFound(vault, {
      // Which packs the manifest named nobody knows any more.
      objects: [first.manifest, first.segment],
      whole: [second.backup],
      broken: [first.backup],
      byRecords: false,
    });
  });
});

describe("a damaged key wrap", () => {
  test("is named by the check, and the recovery key still opens the vault", async () => {
    const tools = { store: openMemoryStore({ clock: systemClock }), clock: systemClock, random: systemRandom };
    const { vault, recoveryKey } = await initVault(tools, TEST_SECRET, {});
    assert.ok(recoveryKey !== undefined);
    let damaged = "";
    for await (const { key } of tools.store.list(KEYS_PREFIX)) {
      const bytes = await tools.store.get(key);
      if (!bytes.includes("argon2id")) continue;
      damaged = key;
      bytes[bytes.indexOf("argon2id")] = 0x41;
      await replace(tools.store, key, bytes);
    }
    const { findings } = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual(
      findings.map(({ object, reason }) => [object, reason.code]),
      [[damaged, "vault.object-damaged"]],
    );
    await assert.rejects(openVault(tools, TEST_SECRET, {}), (error) => {
      assert.ok(isLifeboatError(error, "vault.wrong-key"));
      return error.message.includes(damaged);
    });
    const opened = await openVault(tools, { kind: "recovery-key", recoveryKey }, {});
    assert.deepEqual(opened.dataKey, vault.dataKey);
  });
});

describe("a check", () => {
  test("of a vault in which a backup is announced while it lists finds nothing wrong", async () => {
    const vault = await createTestVault(openMemoryStore({ clock: systemClock }));
    await takeRecorded(cluster.first, vault);
    let lists = 0;
    const list: Store["list"] = async function* (prefix, options) {
      lists += 1;
      yield* vault.store.list(prefix, options);
      if (lists === 1) await takeRecorded(cluster.second, vault);
    };
    const { store } = vault;
    const watched: Store = {
      name: store.name,
      put: (key, parts, options) => store.put(key, parts, options),
      get: (key, options) => store.get(key, options),
      getRange: (key, range, options) => store.getRange(key, range, options),
      head: (key, options) => store.head(key, options),
      list,
      delete: (key, options) => store.delete(key, options),
    };
    const report = await checkVault({ ...vault, store: watched }, { readData: true, onProgress: () => undefined });
    assert.equal((await listBackups(vault, {}, {})).backups.length, 2);
    assert.deepEqual(report.findings, []);
    for (const backup of report.backups) assert.deepEqual(backup.findings, []);
  });

  test("says how far it is, in bytes as they are stored", async () => {
    const { vault } = await twoBackups();
    const stored = new Map<string, number>();
    for await (const { key, sizeBytes } of vault.store.list("", {})) stored.set(key, sizeBytes);
    const expected = [...stored]
      .filter(([key]) => /^(packs|wal)\//.test(key))
      .reduce((sum, [, bytes]) => sum + bytes, 0);
    const steps: { readonly doneBytes: number; readonly totalBytes: number }[] = [];
    const report = await checkVault(vault, { readData: true, onProgress: (step) => steps.push(step) });
    assert.ok(steps.every((step) => step.totalBytes === expected && step.doneBytes <= expected));
    assert.deepEqual(steps.at(-1), { doneBytes: expected, totalBytes: expected });
    assert.equal(report.readBytes, expected);
  });

  test("stops on request", async () => {
    const { vault } = await twoBackups();
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    await assert.rejects(checkVault(vault, { readData: true, onProgress, signal: controller.signal }), (error) =>
      isLifeboatError(error, "platform.aborted"),
    );
  });
});
