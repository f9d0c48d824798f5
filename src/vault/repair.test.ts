import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_SEGMENT, GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import type { SyntheticServer } from "../../test/golden/synthetic-server.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { syntheticProof } from "../../test/support/proofs.ts";
import {
  differencesFrom,
  restoreSmall,
  SMALL_SERVER,
  smallCouldStart,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { Prng } from "../platform/prng.ts";
import { systemRandom } from "../platform/random.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { type BackupRecord, createBackupId, listBackups } from "./backups.ts";
import { checkVault, type VaultReport } from "./check.ts";
import { readManifest } from "./manifest.ts";
import {
  type BackupId,
  backupName,
  historyKey,
  holdName,
  keyNoteName,
  type PackId,
  type ProofId,
  packName,
  parseBackupName,
  parseWalKey,
  proofName,
  segmentKey,
  VAULT_MARKER_COPY,
} from "./names.ts";
import { listProofs, putProof } from "./proofs.ts";
import { prepareRepair, type RepairTools, runRepair, type SpooledWal } from "./repair.ts";
import { planRepair } from "./repair-plan.ts";
import { keepRestoreProgram } from "./restore-program.ts";
import { putBlob, type Vault } from "./vault.ts";

/** The same server after a page was written: its backup keeps the pages of the first. */
const LATER: SyntheticServer = {
  ...SMALL_SERVER,
  files: SMALL_SERVER.files.map((file) =>
    file.kind === "file" && file.path === "PG_VERSION" ? { ...file, content: Buffer.from("16\n\n") } : file,
  ),
};

type Pair = { readonly vault: Vault; readonly backups: readonly [BackupRecord, BackupRecord] };

/**
 * Every vault of this file is a copy of this one: to take its backups anew each time would be most of the work. It has an object of
 * every kind.
 */
const original = await (async (): Promise<Pair> => {
  const vault = await createTestVault(openMemoryStore({ clock: systemClock }));
  await keepRestoreProgram({ store: vault.store, files: systemFiles }, {});
  const backups = [await takeSmallBackup(vault), await takeSmallBackup(vault, LATER)] as const;
  const gone = { systemId: GOLDEN_SERVER.systemId, backupId: createBackupId(0 as Instant, systemRandom) };
  for (const name of [
    holdName({ scope: backups[0].backupId, holdId: "0".repeat(16) }),
    backupName(gone, "tombstone"),
    keyNoteName("0".repeat(16)),
  ]) {
    await putBlob(vault, { name, plain: Buffer.from("{}") }, {});
  }
  return { vault, backups };
})();
const originals = await objectsOf(original.vault.store);

async function objectsOf(store: Store): Promise<ReadonlyMap<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for await (const { key } of store.list("")) objects.set(key, await store.get(key));
  return objects;
}

async function copy(clock = systemClock): Promise<Pair> {
  const store = openMemoryStore({ clock });
  for (const [key, bytes] of originals) await store.put(key, [bytes]);
  return { ...original, vault: { ...original.vault, store } };
}

function toolsOf(vault: Vault, spooled: SpooledWal = async () => undefined): RepairTools {
  return { vault, spooled, files: systemFiles, host: "test", onProgress: () => undefined };
}

const SPOOLED: SpooledWal = async (wanted) =>
  wanted.kind === "segment" && wanted.segment === GOLDEN_SEGMENT.segment ? GOLDEN_SEGMENT.bytes : undefined;

const check = (vault: Vault): Promise<VaultReport> =>
  checkVault(vault, { readData: true, onProgress: () => undefined });

function wholeOf(report: VaultReport): readonly string[] {
  return report.backups.filter(({ whole }) => whole).map(({ backup }) => backup.backupId);
}

async function repair(tools: RepairTools) {
  const plan = await prepareRepair(tools, {});
  return { plan, outcomes: await runRepair(tools, plan, {}) };
}

/** No bytes are gone: each object is where it was, or under quarantine. */
async function assertNothingLost(vault: Vault, before: ReadonlyMap<string, Buffer>): Promise<void> {
  const after = await objectsOf(vault.store);
  for (const [name, bytes] of before) {
    const found = [...after].some(
      ([key, held]) =>
        (key === name || (key.startsWith("quarantine/") && key.endsWith(`/${name}`))) && held.equals(bytes),
    );
    assert.ok(found, `${name} is neither where it was nor set aside`);
  }
}

/** What is whole restores; what is not restores as well, or fails and cannot start, and is never something else. */
async function assertRestores({ vault, backups }: Pair, whole: readonly string[]): Promise<void> {
  for (const [index, backup] of backups.entries()) {
    const { files } = memoryFiles();
    await files.makeFolder("/srv");
    const failure: unknown = await restoreSmall({ vault, backup }, files).catch((error: unknown) => error);
    if (failure === undefined) assert.deepEqual(await differencesFrom(index === 0 ? SMALL_SERVER : LATER, files), []);
    else {
      assert.ok(isLifeboatError(failure) && !whole.includes(backup.backupId), String(failure));
      assert.equal(await smallCouldStart(files), false);
    }
  }
}

/** The calls of a store, to put others in the place of some. */
function storePort(store: Store): Store {
  return {
    name: store.name,
    put: (key, parts, options) => store.put(key, parts, options),
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  };
}

async function put(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.delete(key);
  await store.put(key, [bytes]);
}

async function flip(store: Store, key: string): Promise<void> {
  const bytes = await store.get(key);
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
  await put(store, key, bytes);
}

const [first, second] = original.backups;
const segment = segmentKey({ systemId: GOLDEN_SERVER.systemId, segment: GOLDEN_SEGMENT.segment });

describe("a repair", () => {
  for (const [what, keeps] of [
    ["manifest and packs", /^packs\/|\/manifest$/],
    ["start", /\/started$/],
  ] as const) {
    test(`announces no backup that failed, of which the store would not give up its ${what}`, async () => {
      const { vault, backups } = await copy();
      const before = new Set((await objectsOf(vault.store)).keys());
      // The last thing that a backup puts fails, and so does taking that one thing away again.
      const store: Store = {
        ...storePort(vault.store),
        put: async (key, parts, options) => {
          if (key.endsWith("/announced")) throw new Error("no announcement, as planned");
          return vault.store.put(key, parts, options);
        },
        delete: async (key, options) => {
          if (keeps.test(key)) throw new Error("no deletion, as planned");
          return vault.store.delete(key, options);
        },
      };
      await assert.rejects(takeSmallBackup({ ...vault, store }, LATER), /as planned/);
      const left = [...(await objectsOf(vault.store)).keys()].filter((name) => !before.has(name));
      assert.ok(left.some((name) => keeps.test(name)));
      assert.deepEqual((await prepareRepair(toolsOf(vault), {})).steps, []);
      assert.deepEqual(
        wholeOf(await check(vault)),
        backups.map(({ backupId }) => backupId),
      );
    });
  }

  test("fills a segment in that the receiver stores in the same moment", async () => {
    const { vault } = await copy();
    const bytes = await vault.store.get(segment);
    await vault.store.delete(segment);
    const store: Store = {
      ...storePort(vault.store),
      put: async (key, parts, options) => {
        if (key === segment) await vault.store.put(key, [bytes]);
        return vault.store.put(key, parts, options);
      },
    };
    const { outcomes } = await repair(toolsOf({ ...vault, store }, SPOOLED));
    assert.deepEqual(
      outcomes.map(({ failure }) => failure),
      [undefined],
    );
    assert.deepEqual((await check(vault)).findings, []);
  });

  test("of a whole vault has nothing to do", async () => {
    const { vault } = await copy();
    assert.deepEqual(await prepareRepair(toolsOf(vault), {}), { steps: [], left: [] });
  });

  test("makes a damaged announcement again from the manifest, and the backup restores", async () => {
    const pair = await copy();
    const { vault } = pair;
    await flip(vault.store, backupName(first, "announced"));
    const before = await objectsOf(vault.store);
    const { plan } = await repair(toolsOf(vault));
    assert.deepEqual(
      plan.steps.map(({ kind }) => kind),
      ["announce-again"],
    );
    const again = (await listBackups(vault, {}, {})).backups.find(({ backupId }) => backupId === first.backupId);
    assert.ok(again !== undefined);
    // What the manifest does not tell is near enough.
    const { storedBytes, durationMs, endedAt } = first;
    assert.equal(again.tier, "manual");
    assert.deepEqual({ ...again, storedBytes, durationMs, endedAt, tier: first.tier }, first);
    assert.deepEqual(wholeOf(await check(vault)).length, 2);
    await assertNothingLost(vault, before);
    await assertRestores(pair, wholeOf(await check(vault)));
  });

  test("leaves a damaged announcement alone when the backup lacks a pack, and marks nobody else", async () => {
    const { vault } = await copy();
    await flip(vault.store, backupName(second, "announced"));
    const { chunks } = await readManifest(vault, second, {}, {});
    for (const pack of chunks.packs) await vault.store.delete(packName(pack.id));
    const before = await objectsOf(vault.store);
    const { plan } = await repair(toolsOf(vault));
    assert.ok(plan.left.some(({ object }) => object === backupName(second, "announced")));
    assert.equal((await listBackups(vault, {}, {})).damaged.length, 1);
    await assertNothingLost(vault, before);
  });

  for (const how of ["damaged", "missing"] as const) {
    test(`stores a ${how} segment again from the spool; without one, says which backups lack it`, async () => {
      for (const spooled of [SPOOLED, undefined]) {
        const { vault } = await copy();
        if (how === "damaged") await flip(vault.store, segment);
        else await vault.store.delete(segment);
        const before = await objectsOf(vault.store);
        const { plan, outcomes } = await repair(toolsOf(vault, spooled));
        assert.ok(outcomes.every(({ failure }) => failure === undefined));
        await assertNothingLost(vault, before);
        if (spooled !== undefined) {
          assert.equal(wholeOf(await check(vault)).length, 2);
          continue;
        }
        assert.deepEqual(
          plan.steps.map(({ kind }) => kind),
          ["mark", "mark"],
        );
        // Damaged is not absent: a restore must not take the WAL before it for all there was.
        assert.equal((await vault.store.head(segment)) === undefined, how === "missing");
        const { proofs } = await listProofs(vault, {}, {});
        assert.deepEqual(new Set(proofs.map(({ backupId }) => backupId)), new Set([first.backupId, second.backupId]));
        assert.ok(proofs.every(({ failedAt, findings }) => failedAt !== null && findings[0]?.object === segment));
        // Marked once is enough.
        const again = await prepareRepair(toolsOf(vault), {});
        assert.deepEqual(again.steps, []);
      }
    });
  }

  test("makes the history of a timeline again from a manifest", async () => {
    const { vault } = await copy();
    const history = historyKey(first);
    await flip(vault.store, history);
    assert.equal(wholeOf(await check(vault)).length, 0);
    await repair(toolsOf(vault));
    assert.equal(wholeOf(await check(vault)).length, 2);
    await vault.store.delete(history);
    assert.equal(wholeOf(await check(vault)).length, 0);
    await repair(toolsOf(vault));
    assert.deepEqual(wholeOf(await check(vault)).length, 2);
  });

  test("of what opens and is not what it should be ends: set aside, made again, and not found once more", async () => {
    const history = historyKey(first);
    const announced = backupName(second, "announced");
    const proof = proofName({ ...first, proofId: "20200101t000000z-00000000" as ProofId });
    const wrong = new Map([
      [history, Buffer.from("1\t0/999999\tsomebody else's\n")],
      [segment, Buffer.alloc(100)],
      [announced, Buffer.from("{}")],
      [proof, Buffer.from('{"format":"lifeboat-proof"}')],
    ]);
    for (const [object, plain] of wrong) {
      const { vault } = await copy();
      await vault.store.delete(object);
      await putBlob(vault, { name: object, plain }, {});
      if (object === proof) await putProof(vault, syntheticProof(first, { minute: 1, asked: "intact" }), {});
      const before = await objectsOf(vault.store);
      const { plan, outcomes } = await repair(toolsOf(vault, SPOOLED));
      assert.ok(plan.steps.length > 0, object);
      assert.deepEqual(
        outcomes.map(({ failure }) => failure),
        plan.steps.map(() => undefined),
        object,
      );
      await assertNothingLost(vault, before);
      assert.equal(wholeOf(await check(vault)).length, 2, object);
      assert.deepEqual((await prepareRepair(toolsOf(vault, SPOOLED), {})).steps, [], object);
    }
  });

  test("a proof that does not open stays while it is its backup's newest: it may tell of a failure", async () => {
    const { vault } = await copy();
    const failed = syntheticProof(first, { minute: 1, asked: "booted", failedAt: "booted" });
    await putProof(vault, failed, {});
    await flip(vault.store, proofName(failed));
    const { plan } = await repair(toolsOf(vault));
    assert.deepEqual([plan.steps, plan.left.map(({ object }) => object)], [[], [proofName(failed)]]);
    assert.equal((await listProofs(vault, {}, {})).damaged.length, 1);
    await putProof(vault, syntheticProof(first, { minute: 2, asked: "booted" }), {});
    assert.deepEqual(
      (await repair(toolsOf(vault))).plan.steps.map(({ kind }) => kind),
      ["set-aside"],
    );
    assert.deepEqual((await check(vault)).findings, []);
  });

  test("sets a restore program aside that is not the one we know, and stores that one", async () => {
    const { vault } = await copy();
    const [program = ""] = [...originals.keys()].filter((key) => key.startsWith("programs/"));
    await put(vault.store, program, Buffer.from("steal(passphrase)"));
    assert.deepEqual(
      (await check(vault)).findings.map(({ object }) => object),
      [program],
    );
    await repair(toolsOf(vault));
    const { findings, lacking } = await check(vault);
    assert.deepEqual([findings, lacking], [[], []]);
    assert.deepEqual(await vault.store.get(program), originals.get(program));
  });

  test("stores the restore program and the copy of the marker where they are not there", async () => {
    const { vault } = await copy();
    const program = [...originals.keys()].filter((key) => key.startsWith("programs/"));
    for (const name of [VAULT_MARKER_COPY, ...program]) await vault.store.delete(name);
    assert.deepEqual((await check(vault)).lacking, [VAULT_MARKER_COPY, ...program]);
    const { plan } = await repair(toolsOf(vault));
    assert.deepEqual(
      plan.steps.map(({ kind }) => kind),
      ["store-again", "store-again"],
    );
    assert.deepEqual((await check(vault)).lacking, []);
    for (const name of [VAULT_MARKER_COPY, ...program]) {
      assert.deepEqual(await vault.store.get(name), originals.get(name));
    }
  });

  test("takes what another key seals for no damage", async () => {
    const { vault } = await copy();
    const stranger = { ...vault, dataKeys: new Map(), dataKey: { ...vault.dataKey } };
    const { plan } = await repair(toolsOf(stranger));
    assert.ok(plan.steps.every(({ kind }) => kind === "mark"));
    assert.deepEqual(wholeOf(await check(vault)).length, 2);
  });

  test("marks no backup as failed of which another key seals a part", async () => {
    const { vault } = await copy();
    const report = await check(vault);
    const reason = new LifeboatError("vault.key-missing", { message: "pack x needs a data key", remedy: "Look." });
    const backups = report.backups.map((each) => ({
      ...each,
      whole: false,
      findings: [{ object: "packs/00/x", reason }],
    }));
    const none = {
      outdated: new Set<string>(),
      storable: new Set<string>(),
      remade: new Map(),
      spooled: new Set<string>(),
      marked: new Set<string>(),
    };
    assert.deepEqual(planRepair({ report: { ...report, backups }, ...none }).steps, []);
  });

  test("leaves what works by its name alone where it is, and a check names it when it does not open", async () => {
    for (const kind of [/^holds\//, /^notes\//, /\/started$/, /\/tombstone$/]) {
      const { vault } = await copy();
      const [object = ""] = [...originals.keys()].filter((key) => kind.test(key));
      await flip(vault.store, object);
      const named = (await check(vault)).findings.map((each) => each.object);
      assert.deepEqual(named, [object]);
      const { plan } = await repair(toolsOf(vault));
      assert.deepEqual([plan.steps, plan.left.map((each) => each.object)], [[], [object]]);
    }
  });

  test("of a key wrap under the name of another, and of a manifest that is all that is left of its backup, says so; the latter is announced again", async () => {
    const { vault } = await copy();
    const [wrap = ""] = [...originals.keys()].filter((key) => key.startsWith("keys/"));
    const misnamed = wrap.replace(/^keys\/.{32}/, `keys/${"0".repeat(32)}`);
    await put(vault.store, misnamed, originals.get(wrap) ?? Buffer.alloc(0));
    for (const part of ["announced", "started"] as const) await vault.store.delete(backupName(first, part));
    const { findings } = await check(vault);
    assert.deepEqual(
      new Map(findings.map(({ object, reason }) => [object, reason.code])),
      new Map([
        [misnamed, "vault.object-damaged"],
        [backupName(first, "announced"), "vault.object-missing"],
      ]),
    );
    const { plan } = await repair(toolsOf(vault));
    assert.deepEqual(
      plan.steps.map(({ kind }) => kind),
      ["announce-again"],
    );
    assert.deepEqual(wholeOf(await check(vault)).length, 2);
  });

  test("announces a backup again whose announcement was lost longer than a week after it was begun", async () => {
    const before = { ...systemClock, now: () => (systemClock.now() - 8 * 86_400_000) as Instant };
    const { vault, backups } = await copy(before);
    const announced = backupName(first, "announced");
    await vault.store.delete(announced);
    const { findings, unfinished } = await check(vault);
    assert.deepEqual([findings.map(({ object }) => object), unfinished.length], [[announced], 1]);
    const { plan, outcomes } = await repair(toolsOf(vault));
    assert.deepEqual(
      plan.steps.map(({ kind }) => kind),
      ["announce-again"],
    );
    assert.ok(outcomes.every(({ failure }) => failure === undefined));
    await assertRestores({ vault, backups }, wholeOf(await check(vault)));
    assert.equal(wholeOf(await check(vault)).length, 2);
    assert.deepEqual((await prepareRepair(toolsOf(vault), {})).steps, []);
  });

  test("failed at each effect on the store in turn: loses nothing, and the next one ends it", async () => {
    for (const kind of ["fail-before", "fail-after"] as const) {
      for (let at = 1; ; at += 1) {
        const { vault } = await copy();
        await flip(vault.store, segment);
        await flip(vault.store, backupName(first, "announced"));
        const before = await objectsOf(vault.store);
        const plan = await prepareRepair(toolsOf(vault, SPOOLED), {});
        const faulty = faultyStore({ store: vault.store, clock: systemClock, faults: [{ at, kind }] });
        const tools = toolsOf({ ...vault, store: faulty.store }, SPOOLED);
        const outcomes = await runRepair(tools, plan, {});
        const fired = faulty.effects.length >= at;
        if (fired) faulty.assertFired();
        for (const { failure } of outcomes) assert.match(failure?.code ?? "store.failed", /^store\.failed$/);
        await assertNothingLost(vault, before);
        await repair(toolsOf(vault, SPOOLED));
        assert.equal(wholeOf(await check(vault)).length, 2, `${kind} at ${at}`);
        if (fired) continue;
        assert.ok(at > 10, `only ${at - 1} effects were failed`);
        break;
      }
    }
  });
});

/** Without the marker there is no vault to check; the bytes of a key wrap only its holder can judge. */
const UNWATCHED = /^(keys\/|vault\.json$)/;
/** That one of these is gone nobody can tell: it may be that nobody put one. */
const UNMISSED = /^(holds\/|notes\/)|\/(started|tombstone)$/;

/** A name that nothing has, of the same kind; undefined for a kind of which a name more says nothing. */
function anotherName(key: string): string | undefined {
  const id = /^packs\/..\/([0-9a-f]{32})$/.exec(key)?.[1];
  if (id !== undefined) return packName([...id].reverse().join("") as PackId);
  const wal = parseWalKey(key);
  if (wal?.kind === "segment") return segmentKey({ ...wal, segment: wal.segment.replace(/.$/, "F") });
  const named = parseBackupName(key);
  if (named?.part !== "announced") return undefined;
  return backupName({ ...named, backupId: named.backupId.replace(/.$/, "0") as BackupId }, "announced");
}

/** Damages objects at random; returns the names that a check has to name or account for. */
async function damageAtRandom(store: Store, random: Prng): Promise<ReadonlySet<string>> {
  const watched = [...originals.keys()].filter((key) => !UNWATCHED.test(key));
  const touched = new Set<string>();
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const key = random.pick(watched);
    const other = random.pick(watched.filter((each) => each !== key));
    const bytes = originals.get(key) ?? Buffer.alloc(0);
    const kind = random.below(7);
    const name = anotherName(key);
    if (kind === 6 && name !== undefined && (await store.head(name)) === undefined) {
      touched.add(name);
      await put(store, name, bytes);
      continue;
    }
    touched.add(key);
    if (kind === 0) {
      const flipped = Buffer.from(bytes);
      const at = random.below(flipped.byteLength);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
      await put(store, key, flipped);
    }
    if (kind === 1) await store.delete(key);
    if (kind === 2) await put(store, key, bytes.subarray(0, random.below(bytes.byteLength)));
    if (kind === 3) await put(store, key, Buffer.concat([bytes, Buffer.alloc(1 + random.below(20))]));
    if (kind === 4) await put(store, key, originals.get(other) ?? Buffer.alloc(0));
    if (kind === 5) {
      touched.add(other);
      await put(store, key, originals.get(other) ?? Buffer.alloc(0));
      await put(store, other, bytes);
    }
  }
  return touched;
}

/** What a check says of an object. */
function accountsFor(report: VaultReport, key: string): boolean {
  const findings = [...report.findings, ...report.backups.flatMap((each) => each.findings)];
  if (findings.some(({ object }) => object === key)) return true;
  const named = parseBackupName(key);
  // Without its announcement a backup is unfinished; what an unreadable record or manifest names is not looked at.
  if (named !== undefined && report.unfinished.some(({ backupId }) => backupId === named.backupId)) return true;
  if (key.startsWith("programs/") || report.unreferencedPacks.includes(key)) return true;
  const unread = report.unfinished.length > 0 || findings.some(({ object }) => /\/(announced|manifest)$/.test(object));
  return unread && (key.startsWith("packs/") || parseWalKey(key) !== undefined || named?.part === "manifest");
}

test("random damage is found, what is whole restores, and a repair loses nothing and makes nothing worse", async () => {
  for (let stream = 0; stream < repetitions(12); stream += 1) {
    const pair = await copy();
    const { vault } = pair;
    const touched = await damageAtRandom(vault.store, new Prng(testSeed(), stream));
    const before = await objectsOf(vault.store);
    const report = await check(vault);
    for (const key of touched) {
      const same = before.get(key)?.equals(originals.get(key) ?? Buffer.alloc(0)) === true;
      const unmissed = !before.has(key) && UNMISSED.test(key);
      assert.ok(same || unmissed || accountsFor(report, key), `stream ${stream}: ${key}`);
    }
    await assertRestores(pair, wholeOf(report));
    await repair(toolsOf(vault, stream % 2 === 0 ? SPOOLED : undefined));
    await assertNothingLost(vault, before);
    const after = wholeOf(await check(vault));
    for (const backupId of wholeOf(report)) assert.ok(after.includes(backupId), `stream ${stream}`);
    await assertRestores(pair, after);
    const { damaged, backups } = await listBackups(vault, {}, {});
    const { proofs } = await listProofs(vault, {}, {});
    for (const { backupId } of backups.filter((each) => !after.includes(each.backupId))) {
      assert.ok(
        proofs.some((proof) => proof.backupId === backupId && proof.failedAt !== null),
        `stream ${stream}`,
      );
    }
    // An announcement that was put under another name as well is one more that does not open.
    const known = [...damaged, ...backups].filter(({ backupId }) =>
      [first, second].some((each) => each.backupId === backupId),
    );
    assert.ok(known.length <= 2, `stream ${stream}`);
  }
});
