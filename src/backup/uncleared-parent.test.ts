import assert from "node:assert/strict";
import { test } from "node:test";
import {
  GOLDEN_DELTA_SEGMENTS,
  GOLDEN_EARLIER,
  GOLDEN_LATER,
  takeGoldenBackup,
} from "../../test/golden/make-delta-vault.ts";
import { createTestVault, repairTools } from "../../test/support/vaults.ts";
import { LifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { LEFT_BEHIND_MS, listBackups } from "../vault/backups.ts";
import { prepareRepair, runRepair } from "../vault/repair.ts";
import { putSegment } from "../vault/wal-store.ts";
import type { WalCoverage } from "./backup.ts";

const SEGMENTS = 4;
/** So long ago that a repair takes what was not announced for a lost announcement. */
const LONG_AGO = { ...systemClock, now: () => (systemClock.now() - LEFT_BEHIND_MS - 86_400_000) as Instant };

/** A store that takes nothing more once its user was killed. */
function mortal(store: Store): { readonly store: Store; readonly kill: () => LifeboatError } {
  const killed = new LifeboatError("store.failed", { message: "killed, as planned", remedy: "None." });
  let dead = false;
  const changes: Pick<Store, "put" | "delete"> = {
    put: (...call) => (dead ? Promise.reject(killed) : store.put(...call)),
    delete: (...call) => (dead ? Promise.reject(killed) : store.delete(...call)),
  };
  const alive = {
    name: store.name,
    get: store.get.bind(store),
    getRange: store.getRange.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    ...changes,
  };
  return {
    store: alive,
    kill: () => {
      dead = true;
      return killed;
    },
  };
}

test("killed while it waits for the WAL that clears its parent: no manifest, so no repair announces it (rules A1, A4)", async () => {
  const vault = await createTestVault(openMemoryStore({ clock: LONG_AGO }));
  const full = await takeGoldenBackup(vault, GOLDEN_EARLIER, SEGMENTS);
  const { store, kill } = mortal(vault.store);
  const wal = {
    begin: async () => undefined,
    covered: () => Promise.reject(kill()),
    // Of the WAL that is held when it begins; what is waited for would show the change.
    between: {
      holds: async () => "held",
      settings: async ({ to }) => ({ kind: "same", reached: to }),
      unsoundCopy: async () => undefined,
    },
  } satisfies WalCoverage;
  await assert.rejects(takeGoldenBackup({ ...vault, store }, GOLDEN_LATER, SEGMENTS, { wal }), /killed, as planned/);
  for (const [segment, bytes] of GOLDEN_DELTA_SEGMENTS) {
    await putSegment(vault, { systemId: full.systemId, segment, bytes }, {});
  }
  const { unfinished } = await listBackups(vault, {}, {});
  assert.equal(unfinished.length, 1);
  const tools = repairTools(vault);
  await runRepair(tools, await prepareRepair(tools, {}), {});
  const { backups } = await listBackups(vault, {}, {});
  assert.deepEqual(
    backups.map(({ backupId }) => backupId),
    [full.backupId],
  );
});
