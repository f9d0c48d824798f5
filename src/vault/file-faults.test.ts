import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_SEGMENT, GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import type { SyntheticServer } from "../../test/golden/synthetic-server.ts";
import { repetitions } from "../../test/support/effort.ts";
import { syntheticProof } from "../../test/support/proofs.ts";
import { SMALL_SERVER, takeSmallBackup } from "../../test/support/small-restores.ts";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { type FileFault, faultyFiles } from "../platform/faulty-files.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { systemRandom } from "../platform/random.ts";
import { lsnAdd } from "../postgres/lsn.ts";
import { runPrune } from "../retention/act.ts";
import { listHolds, putHold, releaseHolds } from "../retention/holds.ts";
import { planPrune } from "../retention/survey.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { createBackupId, listBackups } from "./backups.ts";
import { checkVault } from "./check.ts";
import { addHolder, listKeys, removeHolder, rewrapPassphrase, rotateDataKey } from "./key-ring.ts";
import type { VaultSecret } from "./keys.ts";
import { NO_STRETCH } from "./keys.ts";
import { backupName, type ProofId, segmentKey, VAULT_MARKER } from "./names.ts";
import { putProof } from "./proofs.ts";
import { prepareRepair, runRepair } from "./repair.ts";
import { initVault, openVault, type Vault, type VaultTools } from "./vault.ts";
import { putHistory, putSegment } from "./wal-store.ts";

const MACHINE = { clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
const FOLDER = "/srv/vault";
const DAY_MS = 86_400_000;
const { systemId, timeline } = GOLDEN_SERVER;
/** The same server after a page was written, in the same segment of WAL. */
const LATER: SyntheticServer = {
  ...SMALL_SERVER,
  startLsn: lsnAdd(SMALL_SERVER.endLsn, 8),
  endLsn: lsnAdd(SMALL_SERVER.endLsn, 200),
  files: SMALL_SERVER.files.map((file) =>
    file.kind === "file" && file.path === "PG_VERSION" ? { ...file, content: Buffer.from("16\n\n") } : file,
  ),
};
/** Effects are alike but for the last ones: usually every so many-th is failed, others of them in each way. */
const STRIDE = Math.ceil(16 / repetitions(1, 16));
const LAST_EFFECTS = 4;
/** Later than a tombstone's grace, sooner than a vault that gets nothing looks forgotten. */
const ahead = { ...systemClock, now: () => (systemClock.now() + 2 * DAY_MS) as Instant };

type Opened = { readonly tools: VaultTools; readonly secret: VaultSecret };

/** The objects that an operation begins with, and what opens them. */
type Start = { readonly objects: ReadonlyMap<string, Buffer>; readonly secret: VaultSecret };

/** What is swept. It is done again after each failure, and must then succeed. */
type Operation = {
  readonly start: Start;
  readonly run: (on: Opened) => Promise<unknown>;
  /** How many whole backups there may be after a failure, and how many when it has succeeded once; each time again `adds`. */
  readonly backups: { readonly old: number; readonly new: number };
  readonly adds?: number;
};

async function objectsOf({ store }: VaultTools): Promise<ReadonlyMap<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for await (const { key } of store.list("")) objects.set(key, await store.get(key));
  return objects;
}

async function startWith(fill: (vault: Vault) => Promise<unknown>): Promise<Start> {
  const tools = { ...MACHINE, store: openMemoryStore({ clock: systemClock }) };
  const { vault, recoveryKey = "" } = await initVault(tools, TEST_SECRET, {});
  await fill(vault);
  return { objects: await objectsOf(tools), secret: { kind: "recovery-key", recoveryKey } };
}

async function onDisk(files: Files): Promise<VaultTools> {
  // Files in memory have no times, and a vault that got nothing for so long would not be pruned.
  const stat: Files["stat"] = async (file) => {
    const found = await files.stat(file);
    return found && { ...found, modifiedMs: systemClock.now() };
  };
  const timed = { ...files, stat };
  const store = await openDiskStore({ folder: FOLDER, files: timed, random: systemRandom, access: "write" });
  return { ...MACHINE, store };
}

const damaged = async (vault: Vault): Promise<void> => {
  const record = await takeSmallBackup(vault);
  const segment = segmentKey({ systemId, segment: GOLDEN_SEGMENT.segment });
  for (const name of [backupName(record, "announced"), segment, VAULT_MARKER]) {
    const bytes = await vault.store.get(name);
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    await vault.store.delete(name);
    await vault.store.put(name, [bytes]);
  }
};

const pruneOldest = async ({ tools, secret }: Opened): Promise<void> => {
  const vault = { ...(await openVault(tools, secret, {})), clock: ahead };
  const windows = { hourly: 1, daily: 0, weekly: 0 };
  for (let pass = 0; pass < 2; pass += 1) {
    const named = new Set((await listBackups(vault, {}, {})).backups.slice(0, -1).map(({ backupId }) => backupId));
    const policy = { windows, manualDays: undefined, graceMs: 0, named };
    await runPrune(vault, await planPrune(vault, { policy, proofs: new Map(), unopenedProofs: [] }, {}), {
      onProgress: () => undefined,
    });
  }
};

const repairAll = async ({ tools, secret }: Opened): Promise<void> => {
  const vault = await openVault(tools, secret, {});
  const repairTools = {
    vault,
    spooled: async (wanted: { readonly kind: "segment" | "history" }) =>
      wanted.kind === "segment" ? GOLDEN_SEGMENT.bytes : undefined,
    files: systemFiles,
    host: "test",
    onProgress: () => undefined,
  };
  for (const { failure } of await runRepair(repairTools, await prepareRepair(repairTools, {}), {})) {
    if (failure !== undefined) throw failure;
  }
};

const EMPTY: Start = { objects: new Map(), secret: TEST_SECRET };
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "making a vault": {
    start: EMPTY,
    // Made already by the one that failed: nothing is left to do.
    run: ({ tools, secret }) =>
      openVault(tools, secret, {}).catch(() => initVault({ ...tools, files: systemFiles }, TEST_SECRET, {})),
    backups: { old: 0, new: 0 },
  },
  "a full backup": {
    start: await startWith(async () => undefined),
    run: async ({ tools, secret }) => takeSmallBackup(await openVault(tools, secret, {})),
    backups: { old: 0, new: 1 },
    adds: 1,
  },
  "a delta backup": {
    start: await startWith(takeSmallBackup),
    run: async ({ tools, secret }) => takeSmallBackup(await openVault(tools, secret, {}), LATER, { delta: true }),
    backups: { old: 1, new: 2 },
    adds: 1,
  },
  "storing WAL": {
    start: await startWith(async () => undefined),
    run: async ({ tools, secret }) => {
      const vault = await openVault(tools, secret, {});
      // In the order of the receiver: WAL without its history is a loss.
      await putHistory(vault, { systemId, timeline, content: Buffer.from(GOLDEN_SERVER.history) }, {});
      await putSegment(vault, { systemId, ...GOLDEN_SEGMENT }, {});
    },
    backups: { old: 0, new: 0 },
  },
  "a prune": {
    start: await startWith(async (vault) => {
      await takeSmallBackup(vault);
      await takeSmallBackup(vault, LATER);
    }),
    run: pruneOldest,
    backups: { old: 2, new: 1 },
  },
  "a new passphrase": {
    start: await startWith(takeSmallBackup),
    run: ({ tools, secret }) => rewrapPassphrase(tools, secret, { passphrase: "new one", label: "" }, {}),
    backups: { old: 1, new: 1 },
  },
  "another holder": {
    start: await startWith(takeSmallBackup),
    run: ({ tools, secret }) =>
      addHolder(tools, secret, { holder: { kind: "passphrase", passphrase: "another" }, label: "" }, {}),
    backups: { old: 1, new: 1 },
  },
  "a holder less": {
    start: await startWith(takeSmallBackup),
    run: async ({ tools, secret }) => {
      const { holders } = await listKeys(tools, secret, {});
      for (const { kind, wrapId } of holders) if (kind === "passphrase") await removeHolder(tools, secret, wrapId, {});
    },
    backups: { old: 1, new: 1 },
  },
  "a new data key": {
    start: await startWith(takeSmallBackup),
    run: ({ tools, secret }) => rotateDataKey(tools, secret, {}),
    backups: { old: 1, new: 1 },
  },
  "a hold, a proof and a release": {
    start: await startWith(takeSmallBackup),
    run: async ({ tools, secret }) => {
      const vault = await openVault(tools, secret, {});
      const [backup] = (await listBackups(vault, {}, {})).backups;
      assert.ok(backup !== undefined);
      await putHold(vault, { scope: backup.backupId, reason: "looked at" }, {});
      const proofId = createBackupId(vault.clock.now(), vault.random) as string as ProofId;
      await putProof(vault, { ...syntheticProof(backup, { minute: 0, asked: "intact" }), proofId }, {});
      await releaseHolds(vault, backup.backupId, {});
      assert.deepEqual(await listHolds(vault, {}), []);
    },
    backups: { old: 1, new: 1 },
  },
  "a repair": { start: await startWith(damaged), run: repairAll, backups: { old: 0, new: 1 } },
};

/** How many backups are whole; everything that is not under repair opens. */
async function wholeBackups(
  { tools, secret }: Opened,
  { isDamaged, readData }: { readonly isDamaged: boolean; readonly readData: boolean },
): Promise<number> {
  const vault = await openVault(tools, secret, {});
  const report = await checkVault(vault, { readData, onProgress: () => undefined });
  if (!isDamaged) assert.deepEqual(report.findings, []);
  for (const { findings } of report.backups) if (!isDamaged) assert.deepEqual(findings, []);
  return report.backups.filter(({ whole }) => whole).length;
}

async function sweep(name: string, fault: Omit<FileFault, "at">, offset: number): Promise<void> {
  const operation = OPERATIONS[name];
  assert.ok(operation !== undefined);
  const { start, backups, adds = 0 } = operation;
  const { secret } = start;
  const attempt = async (at: number) => {
    const { files } = memoryFiles();
    await files.makeFolder("/srv");
    const quiet = await onDisk(files);
    for (const [key, bytes] of start.objects) await quiet.store.put(key, [bytes]);
    if (start === EMPTY) await files.removeTree(FOLDER);
    const faulty = faultyFiles(files, at === 0 ? undefined : { ...fault, at });
    const error: unknown = await onDisk(faulty.files)
      .then((tools) => operation.run({ tools, secret }))
      .then(
        () => undefined,
        (failure: unknown) => failure,
      );
    return { files, faulty, error };
  };
  const { files: done, faulty, error } = await attempt(0);
  assert.equal(error, undefined);
  if (start !== EMPTY) {
    const { backups: taken } = await listBackups(await openVault(await onDisk(done), secret, {}), {}, {});
    assert.equal(taken.length, backups.new);
    assert.equal((taken.at(-1)?.parent ?? null) !== null, name === "a delta backup");
  }
  const count = faulty.effects.length;
  assert.ok(count > 2 * LAST_EFFECTS, `only ${count} effects`);
  for (let at = 1 + offset; at <= count; at += at < count - LAST_EFFECTS ? STRIDE : 1) {
    const failed = await attempt(at);
    const where = `${name}, effect ${at}: ${JSON.stringify(failed.faulty.effects[at - 1])}`;
    failed.faulty.assertFired();
    if (failed.error !== undefined) {
      assert.ok(isLifeboatError(failed.error), `${where}: ${String(failed.error)}`);
      assert.match(
        failed.error.code,
        /^(platform\.(file-failed|disk-full)|store\.failed|retention\.removal-failed)$/,
        where,
      );
      assert.match(failed.error.remedy, /^[A-Z].+\.$/);
    }
    const on = { tools: await onDisk(failed.files), secret };
    const isDamaged = name === "a repair";
    let whole = 0;
    if (start !== EMPTY) {
      whole = await wholeBackups(on, { isDamaged, readData: isDamaged }).catch((cause: unknown) =>
        assert.fail(new Error(where, { cause })),
      );
      assert.ok(whole === backups.new || (failed.error !== undefined && whole === backups.old), `${where}: ${whole}`);
    }
    await operation.run(on);
    assert.equal(
      await wholeBackups(on, { isDamaged: false, readData: true }),
      backups.new + (whole === backups.new ? adds : 0),
      where,
    );
  }
}

for (const name of Object.keys(OPERATIONS)) {
  describe(`${name}, onto a disk that fails at one effect after the other,`, () => {
    for (const { how, offset, fault } of [
      { how: "before it was done", offset: 0, fault: { errno: "EIO", when: "before" } },
      { how: "after it was done", offset: 4, fault: { errno: "EIO", when: "after" } },
      { how: "half done, the disk full", offset: 8, fault: { errno: "ENOSPC", when: "short" } },
    ] as const) {
      test(`${how}: the vault holds the old state or the new, and it succeeds when it is tried again`, () =>
        sweep(name, fault, offset));
    }
  });
}
