import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTestVault, TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { createDataKey, NO_STRETCH, parseWrap, wrapDataKey } from "./keys.ts";
import { KEYS_PREFIX, VAULT_MARKER } from "./names.ts";
import { getBlob, initVault, openVault, putBlob } from "./vault.ts";

const newTools = () => ({
  store: openMemoryStore({ clock: systemClock }),
  clock: systemClock,
  random: systemRandom,
  stretchCost: NO_STRETCH,
});

describe("opening a vault", () => {
  test("the passphrase and the recovery key each open what init sealed", async () => {
    const tools = newTools();
    const { vault, recoveryKey } = await initVault(tools, TEST_SECRET, {});
    assert.ok(recoveryKey !== undefined);
    await putBlob(vault, { name: "wal/1/history/00000002", plain: Buffer.from("content") }, {});
    const secrets = [TEST_SECRET, { kind: "recovery-key", recoveryKey: ` ${recoveryKey.toLowerCase()} ` }] as const;
    for (const secret of secrets) {
      const opened = await openVault(tools, secret, {});
      assert.deepEqual(opened.dataKey, vault.dataKey);
      assert.equal((await getBlob(opened, "wal/1/history/00000002", {})).toString(), "content");
    }
  });

  test("a wrong passphrase and a wrong recovery key are refused by name", async () => {
    const tools = newTools();
    await initVault(tools, TEST_SECRET, {});
    const other = await initVault(newTools(), TEST_SECRET, {});
    const recoveryKey = other.recoveryKey ?? "";
    await assert.rejects(openVault(tools, { kind: "passphrase", passphrase: "wrong" }, {}), code("vault.wrong-key"));
    await assert.rejects(openVault(tools, { kind: "recovery-key", recoveryKey }, {}), code("vault.wrong-key"));
  });

  test("a mistyped recovery key is told from a wrong one", async () => {
    const tools = newTools();
    const { recoveryKey = "" } = await initVault(tools, TEST_SECRET, {});
    const swapped = recoveryKey[0] === "A" ? `B${recoveryKey.slice(1)}` : `A${recoveryKey.slice(1)}`;
    for (const typed of [swapped, recoveryKey.slice(0, -1), `${recoveryKey}7`, ""]) {
      await assert.rejects(
        openVault(tools, { kind: "recovery-key", recoveryKey: typed }, {}),
        code("vault.recovery-key-malformed"),
      );
    }
  });

  test("an empty store is no vault, and a vault is not made over another", async () => {
    const tools = newTools();
    await assert.rejects(openVault(tools, TEST_SECRET, {}), code("vault.not-a-vault"));
    await initVault(tools, TEST_SECRET, {});
    await assert.rejects(initVault(tools, TEST_SECRET, {}), code("vault.already-a-vault"));
  });

  test("a vault of a later format is named, a damaged marker is not taken for one", async () => {
    const later = newTools();
    await later.store.put(VAULT_MARKER, [Buffer.from('{"format":"lifeboat-vault","version":2}')]);
    await assert.rejects(openVault(later, TEST_SECRET, {}), code("vault.format-unknown"));
    const damaged = newTools();
    await damaged.store.put(VAULT_MARKER, [Buffer.from("{")]);
    await assert.rejects(openVault(damaged, TEST_SECRET, {}), code("vault.object-damaged"));
  });

  test("a wrap copied from another vault does not open this one", async () => {
    const from = newTools();
    const { vault } = await initVault(from, TEST_SECRET, {});
    const to = newTools();
    await to.store.put(VAULT_MARKER, [
      Buffer.from((await from.store.get(VAULT_MARKER)).toString().replace(vault.id, "0".repeat(32))),
    ]);
    for await (const { key } of from.store.list(KEYS_PREFIX)) await to.store.put(key, [await from.store.get(key)]);
    await assert.rejects(openVault(to, TEST_SECRET, {}), code("vault.wrong-key"));
  });

  test("an open wrap planted in a sealed vault is not used, though it is the newest", async () => {
    const tools = newTools();
    const { vault } = await initVault(tools, TEST_SECRET, {});
    const now = (tools.clock.now() + 60_000) as Instant;
    const planted = await wrapDataKey(
      { vaultId: vault.id, dataKey: createDataKey(tools.random), secret: { kind: "open" }, now },
      tools.random,
    );
    await tools.store.put(`${KEYS_PREFIX}${"0".repeat(32)}/${"0".repeat(16)}.json`, [planted]);
    const opened = await openVault(tools, TEST_SECRET, {});
    assert.deepEqual([...opened.dataKeys.values()], [vault.dataKey]);
  });

  test("a wrap whose date was changed does not open", async () => {
    const tools = newTools();
    await initVault(tools, TEST_SECRET, {});
    await rewriteWraps(tools.store, (text) => text.replace(/"createdAt": "\d{4}/, '"createdAt": "2000'));
    await assert.rejects(openVault(tools, TEST_SECRET, {}), code("vault.wrong-key"));
  });

  test("a damaged wrap and one of a later kind lock nobody out, and are named when nothing opens", async () => {
    const tools = newTools();
    const { vault } = await initVault(tools, TEST_SECRET, {});
    const names = [`${KEYS_PREFIX}damaged.json`, `${KEYS_PREFIX}later.json`] as const;
    await tools.store.put(names[0], [Buffer.from("{")]);
    await tools.store.put(names[1], [Buffer.from('{"format":"lifeboat-key-wrap","version":2}')]);
    assert.deepEqual((await openVault(tools, TEST_SECRET, {})).dataKey, vault.dataKey);
    await assert.rejects(openVault(tools, { kind: "passphrase", passphrase: "wrong" }, {}), (error) => {
      code("vault.wrong-key")(error);
      return names.every((name) => String(error).includes(name));
    });
  });

  test("a data key of a wrong length is no key wrap", async () => {
    const vault = await createTestVault();
    const [wrap] = await readWraps(vault.store);
    assert.ok(wrap !== undefined && parseWrap(Buffer.from(wrap.text)) !== undefined);
    const short = wrap.text.replace(vault.dataKey.secret.toString("base64"), Buffer.alloc(16).toString("base64"));
    assert.equal(parseWrap(Buffer.from(short)), undefined);
  });

  test("nothing of the passphrase, the recovery key or the content lies in the store", async () => {
    const tools = newTools();
    const { vault, recoveryKey = "" } = await initVault(tools, TEST_SECRET, {});
    const content = "a sentence that compression keeps";
    await putBlob(vault, { name: "wal/1/history/00000002", plain: Buffer.from(content) }, {});
    const secrets = [content, recoveryKey, recoveryKey.replaceAll("-", ""), "correct horse", vault.dataKey.secret];
    for await (const { key } of tools.store.list("")) {
      const bytes = await tools.store.get(key);
      for (const secret of secrets) assert.equal(bytes.includes(secret), false, key);
      assert.equal(bytes.includes(vault.dataKey.secret.toString("base64")), false, key);
    }
  });

  test("an object sealed with a key the secret does not open is named", async () => {
    const vault = await createTestVault();
    const other = await createTestVault();
    await putBlob(other, { name: "wal/1/history/00000002", plain: Buffer.from("x") }, {});
    await vault.store.put("wal/1/history/00000002", [await other.store.get("wal/1/history/00000002")]);
    await assert.rejects(getBlob(vault, "wal/1/history/00000002", {}), code("vault.key-missing"));
  });
});

async function readWraps(store: Store): Promise<readonly { readonly key: string; readonly text: string }[]> {
  const wraps: { key: string; text: string }[] = [];
  for await (const { key } of store.list(KEYS_PREFIX)) wraps.push({ key, text: (await store.get(key)).toString() });
  return wraps;
}

async function rewriteWraps(store: Store, change: (text: string) => string): Promise<void> {
  for (const { key, text } of await readWraps(store)) {
    assert.notEqual(change(text), text);
    await store.delete(key);
    await store.put(key, [Buffer.from(change(text))]);
  }
}

function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isLifeboatError(error), String(error));
    assert.equal(error.code, expected);
    return true;
  };
}
