import assert from "node:assert/strict";
import { test } from "node:test";
import { GOLDEN_LATER, takeGoldenBackup } from "../../test/golden/make-delta-vault.ts";
import { createTestVault, exchangeableStore } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { listBackups } from "../vault/backups.ts";

const SEGMENTS = 4;

test("no backup is announced in a vault that took the place of the one that was opened, before its WAL or while that was waited for", async () => {
  for (const moment of ["begin", "covered"] as const) {
    const mine = await createTestVault();
    const others = await createTestVault();
    const path = exchangeableStore(mine.store);
    const wal = {
      begin: async () => (moment === "begin" ? path.exchange(others.store) : undefined),
      covered: async () => (moment === "covered" ? path.exchange(others.store) : assert.fail("the WAL is waited for")),
    };
    const taking = takeGoldenBackup({ ...mine, store: path.store }, GOLDEN_LATER, SEGMENTS, { wal });
    await assert.rejects(taking, (error) => isLifeboatError(error, "vault.exchanged"), moment);
    for (const vault of [mine, others]) assert.deepEqual((await listBackups(vault, {}, {})).backups, []);
  }
});
