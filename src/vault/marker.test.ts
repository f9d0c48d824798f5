import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTestVault, repairTools, TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { checkVault } from "./check.ts";
import { NO_STRETCH } from "./keys.ts";
import { keepMarkers, readVaultIds } from "./marker.ts";
import { VAULT_MARKER, VAULT_MARKER_COPY } from "./names.ts";
import { prepareRepair, runRepair } from "./repair.ts";
import { keepRestoreProgram } from "./restore-program.ts";
import { checkSameVault } from "./same-vault.ts";
import { initVault, openVault, putBlob, type Vault } from "./vault.ts";

const NAMES = [VAULT_MARKER, VAULT_MARKER_COPY] as const;
const WRONG = { kind: "passphrase", passphrase: "wrong" } as const;

async function vaultWithWal() {
  const tools = {
    store: openMemoryStore({ clock: systemClock }),
    clock: systemClock,
    random: systemRandom,
    stretchCost: NO_STRETCH,
  };
  const { vault } = await initVault({ ...tools, files: systemFiles }, TEST_SECRET, {});
  await putBlob(vault, { name: "wal/1/history/00000002", plain: Buffer.from("1\t0/1000000\tx\n") }, {});
  return { tools, vault, marker: await tools.store.get(VAULT_MARKER) };
}

async function put(store: Store, name: string, text: string): Promise<void> {
  await store.delete(name);
  await store.put(name, [Buffer.from(text)]);
}

const check = (vault: Vault) => checkVault(vault, { readData: false, onProgress: () => undefined });

async function repair(vault: Vault) {
  const tools = repairTools(vault);
  const plan = await prepareRepair(tools, {});
  for (const { failure } of await runRepair(tools, plan, {})) assert.equal(failure, undefined);
  return plan;
}

/** Everything that may be wrong with one of the two, made of its text. */
const DAMAGES: Readonly<Record<string, (text: string, id: string) => string | undefined>> = {
  "is lost": () => undefined,
  "is no JSON": (text) => text.slice(1),
  "has a digit damaged": (text, id) => text.replace(id, `${id[0] === "0" ? "1" : "0"}${id.slice(1)}`),
};

describe("the marker of a vault and its copy", () => {
  for (const name of NAMES) {
    for (const [what, damage] of Object.entries(DAMAGES)) {
      test(`${name} ${what}: the vault opens by the other, a check tells and a repair makes it again`, async () => {
        const { tools, vault, marker } = await vaultWithWal();
        const text = damage(marker.toString(), vault.id);
        if (text === undefined) await tools.store.delete(name);
        else await put(tools.store, name, text);
        const opened = await openVault(tools, TEST_SECRET, {});
        assert.deepEqual([opened.id, opened.dataKey], [vault.id, vault.dataKey]);
        await assert.rejects(openVault(tools, WRONG, {}), { code: "vault.wrong-key" });
        await checkSameVault(vault, {});
        assert.ok((await readVaultIds(tools.store, {})).includes(vault.id));
        await assert.rejects(initVault(tools, TEST_SECRET, {}), { code: "vault.already-a-vault" });
        const { findings, lacking } = await check(opened);
        assert.deepEqual([...findings.map(({ object }) => object), ...lacking], [name]);
        await repair(opened);
        assert.deepEqual(await tools.store.get(name), marker);
        const after = await check(opened);
        assert.deepEqual([after.findings, after.lacking], [[], []]);
      });
    }

    test(`${name} is put by the next backup where it is not there`, async () => {
      const { tools, vault, marker } = await vaultWithWal();
      await tools.store.delete(name);
      await keepMarkers(vault, {});
      assert.deepEqual(await tools.store.get(name), marker);
    });
  }

  test("with both lost nobody is led to make a vault over it", async () => {
    const { tools, vault } = await vaultWithWal();
    for (const name of NAMES) await tools.store.delete(name);
    for (const doing of [
      openVault(tools, TEST_SECRET, {}),
      initVault(tools, TEST_SECRET, {}),
      checkSameVault(vault, {}),
    ]) {
      await assert.rejects(
        doing,
        (error) => isLifeboatError(error, "vault.marker-lost") && /never/i.test(error.remedy),
      );
    }
  });

  test("where nothing but the marker says the id, who has the wrong key is told that it may be the marker", async () => {
    const { tools } = await vaultWithWal();
    const remedyOf = async (): Promise<string> => {
      const error: unknown = await openVault(tools, WRONG, {}).catch((reason: unknown) => reason);
      assert.ok(isLifeboatError(error, "vault.wrong-key"));
      return error.remedy;
    };
    assert.doesNotMatch(await remedyOf(), /vault\.json/);
    await tools.store.delete(VAULT_MARKER_COPY);
    assert.match(await remedyOf(), /vault\.json may be damaged/);
  });

  test("a marker of a later version is not passed over for its copy", async () => {
    const { tools, marker } = await vaultWithWal();
    await put(tools.store, VAULT_MARKER, marker.toString().replace('"version": 1', '"version": 2'));
    await assert.rejects(openVault(tools, TEST_SECRET, {}), { code: "vault.format-unknown" });
  });

  test("of two that differ in a vault that is not encrypted nobody can tell which is right: both are left", async () => {
    const vault = await createTestVault();
    await keepRestoreProgram({ store: vault.store, files: systemFiles }, {});
    await put(
      vault.store,
      VAULT_MARKER_COPY,
      `${await vault.store.get(VAULT_MARKER)}`.replace(vault.id, "0".repeat(32)),
    );
    const { steps, left } = await repair(vault);
    assert.deepEqual([steps, left.map(({ object }) => object)], [[], [VAULT_MARKER_COPY]]);
  });
});
