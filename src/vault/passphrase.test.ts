import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { addHolder, rewrapPassphrase, rotateDataKey } from "./key-ring.ts";
import { NO_STRETCH, type VaultSecret, wrapDataKey } from "./keys.ts";
import { keyWrapName } from "./names.ts";
import { initVault, openVault } from "./vault.ts";

const FAULTY = [
  { passphrase: "\uFEFFsecret one", fault: /byte order mark/ },
  { passphrase: Buffer.from("s\xe9cret", "latin1").toString("utf8"), fault: /no UTF-8/ },
];

function newTools() {
  const store = openMemoryStore({ clock: systemClock });
  return { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
}

test("a passphrase that nobody can type again makes no vault and is added to none", async () => {
  const tools = newTools();
  await initVault(tools, TEST_SECRET, {});
  for (const { passphrase, fault } of FAULTY) {
    const refused = (error: unknown) => isLifeboatError(error, "config.secret-unusable") && fault.test(error.message);
    const holder = { kind: "passphrase", passphrase } as const;
    const empty = newTools();
    await assert.rejects(initVault(empty, holder, {}), refused);
    for await (const { key } of empty.store.list("")) assert.fail(`${key} was stored`);
    await assert.rejects(addHolder(tools, TEST_SECRET, { holder, label: "" }, {}), refused);
    await assert.rejects(rewrapPassphrase(tools, TEST_SECRET, { passphrase, label: "" }, {}), refused);
    await assert.rejects(openVault(tools, holder, {}), (error) => {
      return isLifeboatError(error, "vault.wrong-key") && fault.test(error.message) && error.remedy.includes("UTF-8");
    });
  }
  await openVault(tools, TEST_SECRET, {});
  await addHolder(tools, TEST_SECRET, { holder: { kind: "passphrase", passphrase: "sécret" }, label: "" }, {});
});

test("a vault that an earlier version made with such a passphrase opens with it, rotates, and takes a plain one in its place", async () => {
  for (const { passphrase } of FAULTY) {
    const tools = newTools();
    const { vault } = await initVault(tools, TEST_SECRET, {});
    const secret = { kind: "passphrase", passphrase } as const;
    const wrap = { vaultId: vault.id, dataKey: vault.dataKey, secret, now: systemClock.now(), stretchCost: NO_STRETCH };
    const name = keyWrapName({ keyId: vault.dataKey.id, wrapId: "00000000000000aa" });
    await tools.store.put(name, [await wrapDataKey(wrap, systemRandom)]);
    const { keyId } = await rotateDataKey(tools, secret, {});
    assert.equal((await openVault(tools, secret, {})).dataKey.id, keyId);
    await rewrapPassphrase(tools, secret, { passphrase: "plain", label: "" }, {});
    const plain: VaultSecret = { kind: "passphrase", passphrase: "plain" };
    assert.deepEqual([...(await openVault(tools, plain, {})).dataKeys.keys()], [vault.dataKey.id, keyId]);
  }
});
