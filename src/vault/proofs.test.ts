import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { GOLDEN_PASSPHRASE, GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import { blobBySpec, type Objects, openBySpec } from "../../test/golden/read-by-spec.ts";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { type BackupRecord, listBackups } from "./backups.ts";
import { checkVault } from "./check.ts";
import { type BackupId, backupName, type ProofId, proofName } from "./names.ts";
import { listProofs, type ProofRecord, putProof } from "./proofs.ts";
import { initVault, openVault, putBlob, type Vault } from "./vault.ts";

const systemId = "7301234567890123456" as SystemId;

async function vaultWithBackup() {
  const clock = setClock(Date.UTC(2026, 0, 1, 3));
  const tools = { store: openMemoryStore({ clock }), clock, random: systemRandom };
  const { vault } = await initVault(tools, { kind: "open" }, {});
  const { record } = await storeSyntheticBackup(vault, { systemId, segment: 3 });
  return { vault, record };
}

function proofOf(backup: Pick<BackupRecord, "backupId" | "systemId">, second: number): ProofRecord {
  return {
    format: "lifeboat-proof",
    version: 1,
    proofId: `20260101t0400${String(second).padStart(2, "0")}z-1a2b3c4d` as ProofId,
    backupId: backup.backupId,
    systemId: backup.systemId,
    asked: "checked",
    reached: "booted",
    failedAt: "checked",
    findings: [{ object: "database shop, table public.orders, block 7", code: "heap", message: "line pointer" }],
    findingCount: 1,
    startedAt: "2026-01-01T04:00:00.000Z",
    endedAt: `2026-01-01T04:01:${String(second).padStart(2, "0")}.000Z`,
    durationMs: 72_500,
    phases: [{ phase: "present", durationMs: 20 }],
    readBytes: 1,
    restoredBytes: 2,
    walBytes: 3,
    pointLsn: "0/5000060",
    pointTimeline: 2,
    serverVersion: "16.14",
    host: "vault-1",
    checked: { databases: 3, pages: 9, heaps: 4, indexes: 5, invariants: 0 },
  };
}

describe("proofs", () => {
  test("are listed by their end, and are no part of what the vault calls backups", async () => {
    const { vault, record } = await vaultWithBackup();
    const [one, two] = [proofOf(record, 2), proofOf(record, 1)];
    await putProof(vault, one, {});
    await putProof(vault, two, {});
    assert.deepEqual(await listProofs(vault, { systemId }, {}), { proofs: [two, one], damaged: [] });
    assert.deepEqual((await listProofs(vault, { systemId: "1" as SystemId }, {})).proofs, []);
    const { backups, unfinished, damaged } = await listBackups(vault, {}, {});
    assert.deepEqual([backups.length, unfinished.length, damaged.length], [1, 0, 0]);
    const { findings } = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual(findings, []);
  });

  test("are written once", async () => {
    const { vault, record } = await vaultWithBackup();
    await putProof(vault, proofOf(record, 1), {});
    await assert.rejects(putProof(vault, proofOf(record, 1), {}), { code: "store.object-exists" });
  });

  test("that do not open, or say what this version does not know, hide no other", async () => {
    const { vault, record } = await vaultWithBackup();
    const [good, flipped, later, odd] = [1, 2, 3, 4].map((second) => proofOf(record, second));
    assert.ok(good !== undefined && flipped !== undefined && later !== undefined && odd !== undefined);
    await putProof(vault, good, {});
    await putProof(vault, flipped, {});
    const bytes = await vault.store.get(proofName(flipped));
    bytes[bytes.byteLength - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await vault.store.delete(proofName(flipped));
    await vault.store.put(proofName(flipped), [bytes]);
    const put = (proof: ProofRecord, changes: object) =>
      putBlob(vault, { name: proofName(proof), plain: Buffer.from(JSON.stringify({ ...proof, ...changes })) }, {});
    await put(later, { version: 2 });
    await put(odd, { asked: "smelled" });
    const { proofs, damaged } = await listProofs(vault, {}, {});
    assert.deepEqual(proofs, [good]);
    assert.deepEqual(
      damaged.map(({ proofId, reason }) => [proofId, reason.code]),
      [
        [flipped.proofId, "vault.object-damaged"],
        [later.proofId, "vault.format-unknown"],
        [odd.proofId, "vault.object-damaged"],
      ],
    );
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual(
      report.findings.map(({ object, reason }) => [object, reason.code]),
      damaged.map((each) => [proofName(each), each.reason.code]),
    );
  });

  for (const [what, change] of [
    ["was deleted", (vault: Vault, name: string) => vault.store.delete(name.replace(/tombstone$/, "announced"))],
    ["got a tombstone", (vault: Vault, name: string) => putBlob(vault, { name, plain: Buffer.from("{}") }, {})],
  ] as const) {
    test(`of a backup that ${what} meanwhile are not recorded`, async () => {
      const { vault, record } = await vaultWithBackup();
      await change(vault, backupName(record, "tombstone"));
      await assert.rejects(putProof(vault, proofOf(record, 1), {}), { code: "vault.backup-unknown" });
      assert.deepEqual((await listProofs(vault, {}, {})).proofs, []);
    });
  }

  for (const kind of ["fail-before", "fail-after", "disk-full"] as const) {
    test(`whose writing fails (${kind}) at each effect in turn are there whole or not at all`, async () => {
      for (let at = 1; ; at += 1) {
        const { vault, record } = await vaultWithBackup();
        const faulty = faultyStore({ store: vault.store, clock: systemClock, faults: [{ at, kind }] });
        const proof = proofOf(record, 1);
        let failed = false;
        await putProof({ ...vault, store: faulty.store }, proof, {}).catch((error: unknown) => {
          assert.ok(isLifeboatError(error), String(error));
          failed = true;
        });
        const { proofs, damaged } = await listProofs(vault, {}, {});
        assert.deepEqual(damaged, []);
        if (faulty.effects.length < at) {
          assert.ok(at > 3 && !failed, `${at - 1} effects were failed`);
          return;
        }
        // A disk that is full lets one look.
        if (failed) faulty.assertFired();
        assert.deepEqual(proofs, kind === "fail-after" && at === 3 ? [proof] : failed ? [] : [proof], `effect ${at}`);
      }
    });
  }
});

describe("the golden proof of format version 1", () => {
  const folder = path.resolve(import.meta.dirname, "../../test/golden");
  const BACKUP = { systemId: GOLDEN_SERVER.systemId, backupId: "20261122t221532z-4008593e" as BackupId };
  const proof = proofOf(BACKUP, 1);
  const name = proofName(proof);

  test("is read, by us and by a reader written from the format's pages alone", async () => {
    const objects = new Map<string, Buffer>();
    for (const key of [
      "vault.json",
      "keys/d41d34afe09e584f801f385e24a22b56/2346b4191f60e238.json",
      "keys/d41d34afe09e584f801f385e24a22b56/fe98143bb5d6381f.json",
    ]) {
      objects.set(key, readFileSync(path.join(folder, "vault-1", key)));
    }
    objects.set(name, readFileSync(path.join(folder, "proof-1")));
    const store = openMemoryStore({ clock: systemClock });
    for (const [key, bytes] of objects) await store.put(key, [bytes]);
    const secret = { ...TEST_SECRET, kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
    const vault = await openVault({ store, clock: systemClock, random: systemRandom }, secret, {});
    assert.deepEqual(await listProofs(vault, {}, {}), { proofs: [proof], damaged: [] });
    const golden: Objects = objects;
    const plain = blobBySpec(golden, openBySpec(golden, { passphrase: GOLDEN_PASSPHRASE }), name);
    assert.deepEqual(JSON.parse(plain.toString("utf8")), proof);
  });
});
