import assert from "node:assert/strict";
import { test } from "node:test";
import { proveFully } from "../../test/support/proofs.ts";
import { takeSmallBackup } from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemClock } from "../platform/clock.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import type { ProofRecord } from "../vault/proofs.ts";

test("a proof that the vault takes no record of is told before that is said", async () => {
  const vault = await createTestVault();
  const backup = await takeSmallBackup(vault);
  const { store } = faultyStore({
    store: vault.store,
    clock: systemClock,
    faults: [{ kind: "disk-full", at: 1, on: "put" }],
  });
  const told: ProofRecord[] = [];
  const onUnrecorded = (record: ProofRecord): void => void told.push(record);
  const of = { vault: { ...vault, store }, backup, folder: "/nowhere" };
  await assert.rejects(proveFully(of, "present", { onUnrecorded }), { code: "platform.disk-full" });
  assert.deepEqual(
    told.map(({ backupId, reached, failedAt }) => [backupId, reached, failedAt]),
    [[backup.backupId, "present", null]],
  );
});
