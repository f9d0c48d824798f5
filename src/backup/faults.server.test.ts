import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  changeManifest,
  membersOf,
  type Recording,
  recordedWal,
  replay,
  takeRecorded,
  trimRecording,
} from "../../test/support/recordings.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { faultyStore, type StoreFault } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { announce, findBackup, listBackups, markStarted } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import { walBetween } from "../wal/settings-between.ts";

const cluster = await recordSmallCluster();

/** A vault with one backup in it. */
async function vaultWithBackup(): Promise<Vault> {
  const vault = await createTestVault(openMemoryStore({ clock: systemClock }));
  await takeRecorded(cluster.first, vault);
  return vault;
}

async function keysOf(store: Store): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

/** Everything but WAL, which is kept whatever becomes of a backup: it is of use to others. */
async function objectsOf(vault: Vault): Promise<readonly string[]> {
  return (await keysOf(vault.store)).filter((key) => !key.startsWith("wal/"));
}

async function check(vault: Vault) {
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual(report.findings, []);
  for (const backup of report.backups) assert.deepEqual(backup.findings, []);
  return report;
}

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

/** What is swept: what the vault holds before, and how the backup is taken. */
const SWEPT = {
  "the first backup": { makeVault: () => createTestVault(openMemoryStore({ clock: systemClock })), delta: false },
  "a delta backup": { makeVault: vaultWithParent, delta: true },
};

/** A vault with one backup and the WAL since. */
async function vaultWithParent(): Promise<Vault> {
  const vault = await vaultWithBackup();
  const { systemId } = cluster.first.identity;
  for (const [segment, bytes] of cluster.between) await putSegment(vault, { systemId, segment, bytes }, {});
  return vault;
}

/** The second backup; a delta of the first where the WAL between them is held. */
async function takeSecond(vault: Vault, delta: boolean): Promise<void> {
  const between = walBetween({ vault, files: systemFiles }, cluster.walSegmentBytes);
  const wal = { ...recordedWal(cluster.second, vault), ...(delta ? { between } : {}) };
  const { parent } = await takeRecorded(cluster.second, vault, { tools: { wal } });
  assert.equal(parent !== null, delta);
}

for (const [what, { makeVault, delta }] of Object.entries(SWEPT)) {
  describe(`${what}, into a store that fails once`, () => {
    const kinds = {
      "fail-before": "store.failed",
      "fail-after": "store.failed",
      "disk-full": "platform.disk-full",
    } as const;
    for (const kind of ["fail-before", "fail-after", "disk-full"] as const) {
      test(`${kind}, at each effect in turn: announced and whole, or gone without a trace`, async () => {
        for (let at = 1; ; at += 1) {
          const vault = await makeVault();
          const before = await objectsOf(vault);
          const faulty = faultyStore({ store: vault.store, clock: systemClock, faults: [{ at, kind }] });
          const error = await failureOf(takeSecond({ ...vault, store: faulty.store }, delta));
          const report = await check(vault);
          assert.deepEqual(report.unreferencedPacks, [], `effect ${at}`);
          assert.deepEqual(report.unfinished, [], `effect ${at}`);
          if (error !== undefined) {
            assert.equal(error.code, kinds[kind]);
            assert.deepEqual(await objectsOf(vault), before, `effect ${at}, ${faulty.effects[at - 1]?.key}`);
          }
          if (faulty.effects.length < at) {
            assert.ok(at > 11, `only ${at - 1} effects were failed`);
            return;
          }
          faulty.assertFired();
          // What may be survived: the announcement was stored, and only its acknowledgement lost; a marker that has a copy was not read.
          if (error === undefined) assert.match(faulty.effects[at - 1]?.key ?? "", /announced$|^wal\/|^vault\.json$/);
        }
      });
    }
  });
}

describe("a backup into a store that goes away", () => {
  test("at each effect in turn: nothing is announced that is not whole, and it goes on when the store is back", async () => {
    for (let at = 1; ; at += 1) {
      const vault = await vaultWithBackup();
      const faults: StoreFault[] = Array.from({ length: 40 }, (_, more) => ({ at: at + more, kind: "fail-before" }));
      const faulty = faultyStore({ store: vault.store, clock: systemClock, faults });
      const error = await failureOf(takeRecorded(cluster.second, { ...vault, store: faulty.store }));
      const report = await check(vault);
      if (faulty.effects.length < at) return;
      if (error === undefined) {
        // The announcement was acknowledged, and only reading it back failed.
        assert.deepEqual([faulty.effects[at - 1]?.operation, report.backups.length], ["get", 2]);
        assert.match(faulty.effects[at - 1]?.key ?? "", /announced$/);
        continue;
      }
      assert.equal(error.code, "store.failed");
      assert.equal(report.backups.length, 1);
      await takeRecorded(cluster.second, vault);
      assert.equal((await check(vault)).backups.length, 2);
    }
  });

  test("with the announcement's fate unknown, what it would need is left alone", async () => {
    const vault = await vaultWithBackup();
    const quiet = faultyStore({ store: vault.store, clock: systemClock });
    await takeRecorded(cluster.second, { ...vault, store: quiet.store });
    const announcing = ({ operation, key }: (typeof quiet.effects)[number]): boolean =>
      operation === "put" && key.endsWith("/announced");
    const last = quiet.effects.findIndex(announcing) + 1;
    assert.ok(last > 0);
    const other = await vaultWithBackup();
    const faults: StoreFault[] = [
      { at: last, kind: "fail-after" },
      { at: last + 1, kind: "fail-before" },
    ];
    const faulty = faultyStore({ store: other.store, clock: systemClock, faults });
    const error = await failureOf(takeRecorded(cluster.second, { ...other, store: faulty.store }));
    faulty.assertFired();
    assert.equal(error?.code, "store.failed");
    assert.equal((await check(other)).backups.length, 2);
  });
});

describe("a backup into a store that keeps other bytes than it was given, and says nothing,", () => {
  const damages = {
    "cuts an object": (bytes: Buffer) => bytes.subarray(0, bytes.byteLength >> 1),
    "keeps nothing of one": () => Buffer.alloc(0),
    "flips a bit of one": (bytes: Buffer) => {
      bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
      return bytes;
    },
  };
  for (const [how, damage] of Object.entries(damages)) {
    test(`${how}: is not announced, whichever of its own objects it is`, async () => {
      const kinds = new Set<string>();
      for (let at = 1; ; at += 1) {
        const vault = await vaultWithBackup();
        const before = await objectsOf(vault);
        const { store, puts } = lying(vault.store, at, damage);
        const error = await failureOf(takeRecorded(cluster.second, { ...vault, store }));
        const kind = puts[at - 1]?.replace(/^.*\/(\w+)$/, "$1").replace(/^[0-9a-f]{32}$/, "pack") ?? "";
        if (puts.length < at) break;
        // The marker of a backup under way has no content that matters.
        if (kind === "started") continue;
        kinds.add(kind);
        assert.match(
          error?.code ?? "",
          /^(vault\.object-damaged|store\.object-truncated)$/,
          `${kind}: ${error?.message}`,
        );
        assert.deepEqual(await objectsOf(vault), before, kind);
        await check(vault);
      }
      assert.deepEqual(kinds, new Set(["pack", "manifest", "announced"]));
    });
  }
});

describe("a backup that is stopped", () => {
  test("at each effect in turn: the step is named and nothing is left", async () => {
    for (let at = 1; ; at += 1) {
      const vault = await vaultWithBackup();
      const before = await objectsOf(vault);
      const controller = new AbortController();
      const quiet = faultyStore({ store: vault.store, clock: systemClock });
      const store = watched(quiet.store, () => quiet.effects.length === at && controller.abort());
      const error = await failureOf(takeRecorded(cluster.second, { ...vault, store }, { signal: controller.signal }));
      await check(vault);
      if (quiet.effects.length < at) return;
      // Stopped right after its last effect, it was announced already.
      if (error === undefined) continue;
      assert.equal(error.code, "platform.aborted");
      assert.deepEqual(await objectsOf(vault), before, `effect ${at}, ${quiet.effects[at - 1]?.key}`);
    }
  });

  test("while the server sends: nothing is left", async () => {
    const vault = await vaultWithBackup();
    const before = await objectsOf(vault);
    for (const at of [0, 1, 2]) {
      const controller = new AbortController();
      const onView = ({ views }: { readonly views: number }): void => {
        if (views === at) controller.abort();
      };
      const error = await failureOf(takeRecorded(cluster.second, vault, { signal: controller.signal, onView }));
      assert.equal(error?.code, "platform.aborted");
      assert.deepEqual(await objectsOf(vault), before);
    }
  });
});

describe("a backup is refused, and nothing announced,", () => {
  const refused = async (recording: Recording, changes: Parameters<typeof takeRecorded>[2], code: ErrorCode) => {
    const vault = await vaultWithBackup();
    const before = await objectsOf(vault);
    const error = await failureOf(takeRecorded(recording, vault, changes));
    assert.equal(error?.code, code, error?.message);
    assert.deepEqual(await objectsOf(vault), before);
    await check(vault);
  };
  const { second } = cluster;

  test("when the server is on another timeline when it begins or ends to send", async () => {
    const timeline = 2 as Timeline;
    await refused({ ...second, begin: { ...second.begin, timeline } }, {}, "backup.timeline-changed");
    await refused({ ...second, end: { ...second.end, timeline } }, {}, "backup.timeline-changed");
  });

  test("when the server's manifest names a file that did not arrive, another size, or not all files", async () => {
    const [some] = membersOf(second).filter((member) => member.kind === "file" && member.content.byteLength > 0);
    assert.ok(some !== undefined);
    const more = { Path: "base/5/1", Size: 8192 };
    await refused(
      changeManifest(second, (files) => [...files, more]),
      {},
      "backup.manifest-mismatch",
    );
    await refused(
      changeManifest(second, (files) => files.slice(1)),
      {},
      "backup.manifest-mismatch",
    );
    const longer = changeManifest(second, (files) => files.map((file) => ({ ...file, Size: file.Size + 1 })));
    await refused(longer, {}, "backup.manifest-mismatch");
    const damaged = Buffer.from(second.manifest.toString().replace(/"Size": ?(\d)/, '"Size": 9'));
    await refused({ ...second, manifest: damaged }, {}, "backup.manifest-mismatch");
    await refused({ ...second, manifest: second.manifest.subarray(0, 200) }, {}, "backup.manifest-mismatch");
  });

  test("when the archive is cut, or lacks the control file", async () => {
    const archives = second.archives.map((each) => ({ ...each, bytes: each.bytes.subarray(0, 5000) }));
    await refused({ ...second, archives }, {}, "backup.stream-malformed");
    await refused(
      trimRecording(second, (name) => name !== "global/pg_control"),
      {},
      "backup.stream-malformed",
    );
  });

  test("when the server found a bad page, which it says only at the end", async () => {
    const failing = replay(second);
    const connection = {
      ...failing,
      baseBackup: async (...call: Parameters<typeof failing.baseBackup>) => {
        await failing.baseBackup(...call);
        throw new LifeboatError("backup.checksum-failed", { message: "checksum verification failed", remedy: "Look." });
      },
    };
    await refused(second, { tools: { connection } }, "backup.checksum-failed");
  });

  test("when its WAL does not get into the vault", async () => {
    const wal = {
      begin: async () => undefined,
      covered: () =>
        Promise.reject(new LifeboatError("backup.wal-not-covered", { message: "no WAL came", remedy: "Look." })),
    };
    await refused(second, { tools: { wal } }, "backup.wal-not-covered");
  });

  test("when the server is too old or too new", async () => {
    for (const serverVersion of [140_012, 190_000]) {
      await refused({ ...second, serverVersion }, {}, "backup.version-unsupported");
    }
  });

  test("when the connection leads to another server in the middle", async () => {
    const identity = { ...second.identity, systemId: "7000000000000000001" as SystemId };
    await refused({ ...second, identity }, { adoptSystem: true }, "backup.stream-malformed");
  });

  test("when the vault holds backups of another system, readable or not, unless that is wanted", async () => {
    const vault = await createTestVault();
    const record = await takeRecorded(second, await createTestVault());
    const foreign = { ...record, systemId: "7000000000000000001" as SystemId };
    await markStarted(vault, foreign, record, {});
    await announce(vault, foreign, {});
    for (const flip of [false, true]) {
      if (flip) await flipByte(vault.store, (await objectsOf(vault)).find((key) => key.endsWith("announced")) ?? "");
      assert.equal((await failureOf(takeRecorded(second, vault)))?.code, "backup.foreign-system");
    }
    await takeRecorded(second, vault, { adoptSystem: true });
    assert.equal((await listBackups(vault, { systemId: second.identity.systemId }, {})).backups.length, 1);
    // Once adopted, always known.
    await takeRecorded(second, vault);
  });
});

describe("a backup", () => {
  test("on a later timeline brings the timeline's history into the vault", async () => {
    const timeline = 2 as Timeline;
    const { second } = cluster;
    const recording = {
      ...second,
      identity: { ...second.identity, timeline },
      begin: { ...second.begin, timeline },
      end: { ...second.end, timeline },
    };
    const content = Buffer.from("1\t0/1000000\tno recovery target specified\n");
    const connection = { ...replay(recording), timelineHistory: async () => ({ name: "00000002.history", content }) };
    const vault = await createTestVault();
    const wal = { ...recordedWal(recording, vault), covered: async () => undefined };
    await takeRecorded(recording, vault, { tools: { connection, wal } });
    assert.ok((await keysOf(vault.store)).includes(`wal/${second.identity.systemId}/history/00000002`));
  });

  test("is found by its name, and a name that no backup has is refused", async () => {
    const vault = await vaultWithBackup();
    const [backup] = (await listBackups(vault, {}, {})).backups;
    assert.deepEqual(await findBackup(vault, backup?.backupId ?? "", {}), backup);
    await assert.rejects(findBackup(vault, "20260101t000000z-00000000", {}), (error) =>
      isLifeboatError(error, "vault.backup-unknown"),
    );
  });
});

/** A store that keeps other bytes of its `at`-th put, WAL left out. */
function lying(
  store: Store,
  at: number,
  damage: (bytes: Buffer) => Buffer,
): { readonly store: Store; readonly puts: readonly string[] } {
  const puts: string[] = [];
  return {
    puts,
    store: {
      ...watched(store, () => undefined),
      put: (key, parts, options) => {
        if (!key.startsWith("wal/")) puts.push(key);
        const lies = puts.length === at && puts.at(-1) === key;
        return store.put(key, lies ? [damage(Buffer.concat(parts))] : parts, options);
      },
    },
  };
}

/** A store that calls `after` once each of its effects has begun. */
function watched(store: Store, after: () => unknown): Store {
  const then = async <T>(work: Promise<T>): Promise<T> => {
    after();
    return work;
  };
  return {
    name: store.name,
    put: (key, parts, options) => then(store.put(key, parts, options)),
    get: (key, options) => then(store.get(key, options)),
    getRange: (key, range, options) => then(store.getRange(key, range, options)),
    head: (key, options) => then(store.head(key, options)),
    list: async function* (prefix, options) {
      yield* store.list(prefix, options);
      after();
    },
    delete: (key, options) => then(store.delete(key, options)),
  };
}

async function flipByte(store: Store, key: string): Promise<void> {
  const bytes = await store.get(key);
  bytes[bytes.byteLength - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await store.delete(key);
  await store.put(key, [bytes]);
}
