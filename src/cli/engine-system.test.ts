import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { SPOOL_STATE } from "../../test/support/spool-states.ts";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import type { Store } from "../store/store.ts";
import { putHistory } from "../vault/wal-store.ts";
import { writeSpoolState } from "../wal/spool-state.ts";
import { MACHINE } from "./engine-machine.ts";
import { chooseSystem, protectedSystem } from "./engine-system.ts";

const content = Buffer.from("1\t0/3000000\tno recovery target specified\n");
const unclear = (error: unknown): boolean => isLifeboatError(error, "vault.system-unclear");

describe("which system of a vault is meant", () => {
  test("the only one, or the one that is named; never a guess among several", async () => {
    const vault = await createTestVault();
    await assert.rejects(chooseSystem(vault, undefined, {}), unclear);
    await putHistory(vault, { systemId: "71" as SystemId, timeline: 2 as Timeline, content }, {});
    assert.equal(await chooseSystem(vault, undefined, {}), "71");
    await putHistory(vault, { systemId: "72" as SystemId, timeline: 2 as Timeline, content }, {});
    await assert.rejects(chooseSystem(vault, undefined, {}), unclear);
    assert.equal(await chooseSystem(vault, "72", {}), "72");
    await assert.rejects(chooseSystem(vault, "73", {}), unclear);
    await assert.rejects(chooseSystem(vault, "../72", {}), unclear);
    await assert.rejects(chooseSystem(vault, "7", {}), unclear);
  });

  test("one that is named is known by the first object that lies under it, however many there are", async () => {
    const vault = await createTestVault();
    for (const system of ["71", "72"]) {
      for (let timeline = 2; timeline < 100; timeline += 1) {
        await putHistory(vault, { systemId: system as SystemId, timeline: timeline as Timeline, content }, {});
      }
    }
    let listed = 0;
    const { store } = vault;
    const counting: Pick<Store, "list"> = {
      async *list(prefix, options) {
        for await (const facts of store.list(prefix, options)) {
          listed += 1;
          yield facts;
        }
      },
    };
    const counted = { ...vault, store: Object.assign(Object.create(store), counting) as Store };
    assert.equal(await chooseSystem(counted, "72", {}), "72");
    assert.equal(listed, 1);
  });

  test("where none is named, the protected one is that of the spool, else of the newest backup; a refusal dates them", async () => {
    await withFolder(async (spoolFolder) => {
      const clock = setClock(Date.UTC(2026, 10, 1, 12));
      const vault = { ...(await createTestVault()), clock };
      const asked = () => protectedSystem(vault, { spoolFolder, now: clock.now() }, {});
      await assert.rejects(asked(), unclear);
      // The new one by its number is the old one by its backups.
      await storeSyntheticBackup(vault, { systemId: "72" as SystemId, segment: 2 });
      assert.deepEqual(await asked(), { systemId: "72", among: 1 });
      clock.set(clock.now() + 60_000);
      await storeSyntheticBackup(vault, { systemId: "71" as SystemId, segment: 2 });
      assert.deepEqual(await asked(), { systemId: "71", among: 2 });
      const state = { ...SPOOL_STATE, systemId: "73" as SystemId };
      await writeSpoolState(MACHINE, spoolFolder, state);
      assert.deepEqual(await asked(), { systemId: "71", among: 2 }, "a spool of another vault");
      await writeSpoolState(MACHINE, spoolFolder, { ...state, systemId: "72" as SystemId });
      assert.deepEqual(await asked(), { systemId: "72", among: 2 });
      await assert.rejects(chooseSystem(vault, undefined, {}), /72 \(newest backup ended 2026-11-01T12:00/);
    });
  });
});
