import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { putHistory } from "../vault/wal-store.ts";
import { chooseSystem } from "./engine-system.ts";

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
  });
});
