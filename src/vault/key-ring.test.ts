import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { faultyStore, type StoreFault } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { checkVault } from "./check.ts";
import { pinLine, wrapForRecipient } from "./key-age.ts";
import { opensNewestKey } from "./key-open.ts";
import { addHolder, listKeys, type NewHolder, removeHolder, rewrapPassphrase, rotateDataKey } from "./key-ring.ts";
import { createDataKey, DATA_KEYS_MAX, NO_STRETCH, parseWrap, type VaultSecret, wrapDataKey } from "./keys.ts";
import { KEY_NOTES_PREFIX, KEYS_PREFIX, keyWrapName } from "./names.ts";
import { getBlob, initVault, openVault, putBlob, type Vault, type VaultTools } from "./vault.ts";

const OLD_OBJECT = "wal/1/history/00000002";

/** A vault with one object in it; the recovery key opens it without the time a passphrase takes. */
async function newVault() {
  const tools: VaultTools = {
    store: openMemoryStore({ clock: systemClock }),
    clock: systemClock,
    random: systemRandom,
    stretchCost: NO_STRETCH,
  };
  const { vault, recoveryKey = "" } = await initVault(tools, TEST_SECRET, {});
  await putBlob(vault, { name: OLD_OBJECT, plain: Buffer.from("old") }, {});
  const recovery: VaultSecret = { kind: "recovery-key", recoveryKey };
  return { tools, vault, recovery };
}

async function newIdentity() {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

async function readsOld(tools: VaultTools, secret: VaultSecret): Promise<Vault> {
  const vault = await openVault(tools, secret, {});
  assert.equal((await getBlob(vault, OLD_OBJECT, {})).toString(), "old");
  return vault;
}

/** The same objects in another store, to try what can be tried only once. */
async function copyOf(tools: VaultTools): Promise<VaultTools> {
  const store = openMemoryStore({ clock: systemClock });
  for await (const { key } of tools.store.list("")) await store.put(key, [await tools.store.get(key)]);
  return { ...tools, store };
}

async function keyNames(tools: VaultTools): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of tools.store.list(KEYS_PREFIX)) names.push(key);
  return names;
}

function methodsOf(store: Store): Omit<Store, "put"> {
  return {
    name: store.name,
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  };
}

function code(expected: string): (error: unknown) => boolean {
  return (error) => isLifeboatError(error) && error.code === expected;
}

test("a passphrase that was added opens the vault, and the listing names its holders without a secret", async () => {
  const { tools, recovery } = await newVault();
  const added = await addHolder(
    tools,
    recovery,
    { holder: { kind: "passphrase", passphrase: "second" }, label: "for Berta" },
    {},
  );
  await readsOld(tools, { kind: "passphrase", passphrase: "second" });
  const list = await listKeys(tools, recovery, {});
  assert.equal(list.dataKeyCount, 1);
  assert.deepEqual(
    list.holders.map(({ kind, label, proven }) => [kind, label, proven]).sort(),
    [
      ["passphrase", undefined, false],
      ["passphrase", "for Berta", false],
      ["recovery-key", undefined, true],
    ].sort(),
  );
  assert.ok(list.holders.some(({ wrapId }) => wrapId === added.wrapId));
  assert.ok(!JSON.stringify(list).includes("second"));
});

test("an age recipient opens the vault with its identity file and the pin that adding it printed", async () => {
  const { tools, vault, recovery } = await newVault();
  const { identity, recipient } = await newIdentity();
  const { pin } = await addHolder(tools, recovery, { holder: { kind: "age", recipient }, label: "safe" }, {});
  const identities = `# created: today\n${identity}\n${pin}\n`;
  assert.deepEqual((await readsOld(tools, { kind: "identity", identities })).dataKey, vault.dataKey);
  await assert.rejects(openVault(tools, { kind: "identity", identities: identity }, {}), (error) => {
    return isLifeboatError(error, "vault.identity-unpinned") && error.remedy.includes(pin ?? "?");
  });
  const other = (await newIdentity()).identity;
  await assert.rejects(openVault(tools, { kind: "identity", identities: other }, {}), code("vault.wrong-key"));
  for (const bad of ["", "# nothing", "AGE-SECRET-KEY-1XYZ"]) {
    await assert.rejects(openVault(tools, { kind: "identity", identities: bad }, {}), code("vault.age-unusable"), bad);
  }
  const typo = { holder: { kind: "age", recipient: `${recipient}q` } as const, label: "" };
  await assert.rejects(addHolder(tools, recovery, typo, {}), code("vault.age-unusable"));
});

test("a data key that a stranger wraps for an age recipient is neither used nor wrapped for", async () => {
  const { tools, vault, recovery } = await newVault();
  const mine = await newIdentity();
  const { pin } = await addHolder(tools, recovery, { holder: { kind: "age", ...mine }, label: "" }, {});
  const identities = `${mine.identity}\n${pin}\n`;
  const now = (systemClock.now() + 86_400_000) as Instant;
  const plant = async (recipient: string, dataKey = createDataKey(systemRandom)) => {
    const wrap = await wrapForRecipient({ vaultId: vault.id, dataKey, recipient, label: "", now, known: [dataKey] });
    const wrapId = systemRandom(8).toString("hex");
    await tools.store.put(keyWrapName({ keyId: dataKey.id, wrapId }), [wrap]);
    return wrapId;
  };
  await plant(mine.recipient);
  const opened = await openVault(tools, { kind: "identity", identities }, {});
  assert.deepEqual([...opened.dataKeys.values()], [vault.dataKey]);
  const stranger = await newIdentity();
  const strangers = await plant(stranger.recipient);
  const sameName = await plant(stranger.recipient, { ...createDataKey(systemRandom), id: vault.dataKey.id });
  const listed = await listKeys(tools, recovery, {});
  assert.equal(listed.holders.find(({ wrapId }) => wrapId === sameName)?.proven, false);
  const rotation = await rotateDataKey(tools, recovery, {});
  assert.ok(rotation.leftOut.includes(strangers) && rotation.leftOut.includes(sameName));
  await assert.rejects(openVault(tools, { kind: "identity", identities: stranger.identity }, {}));
  const after = await openVault(tools, { kind: "identity", identities }, {});
  assert.equal(after.dataKey.id, rotation.keyId);
  assert.equal(after.dataKeys.size, 2);
});

test("a genuine age wrap with a changed date or label is not used", async () => {
  const { tools, recovery } = await newVault();
  const { identity, recipient } = await newIdentity();
  const { pin, wrapId } = await addHolder(tools, recovery, { holder: { kind: "age", recipient }, label: "x" }, {});
  for (const change of [/"createdAt": "\d{4}/, /"label": "x/] as const) {
    const copy = await copyOf(tools);
    for await (const { key } of copy.store.list(KEYS_PREFIX)) {
      if (!key.includes(wrapId)) continue;
      const text = (await copy.store.get(key)).toString();
      await copy.store.delete(key);
      const changed = text.replace(change, (found) =>
        found.includes("label") ? `${found}y` : `${found.slice(0, -4)}2000`,
      );
      assert.ok(changed !== text && parseWrap(Buffer.from(changed)) !== undefined);
      await copy.store.put(key, [Buffer.from(changed)]);
    }
    const secret = { kind: "identity", identities: `${identity}\n${pin}` } as const;
    await assert.rejects(openVault(copy, secret, {}), code("vault.wrong-key"));
  }
});

test("a wrap is removed with a note, but never one without which the secret in use opens less", async () => {
  const { tools, recovery } = await newVault();
  const { holders } = await listKeys(tools, recovery, {});
  const own = holders.find(({ kind }) => kind === "recovery-key")?.wrapId ?? "";
  const passphrase = holders.find(({ kind }) => kind === "passphrase")?.wrapId ?? "";
  await assert.rejects(removeHolder(tools, recovery, own, {}), code("vault.key-needed"));
  await assert.rejects(removeHolder(tools, recovery, "0".repeat(16), {}), code("vault.wrap-unknown"));
  assert.deepEqual(await removeHolder(tools, recovery, passphrase, {}), { kind: "passphrase", wrapCount: 1 });
  await assert.rejects(openVault(tools, TEST_SECRET, {}), code("vault.wrong-key"));
  const vault = await readsOld(tools, recovery);
  const note = JSON.parse((await getBlob(vault, `${KEY_NOTES_PREFIX}${passphrase}`, {})).toString());
  assert.equal(note.kind, "passphrase");
  assert.deepEqual((await checkVault(vault, { readData: true, onProgress: () => undefined })).findings, []);
});

test("a wrap of a data key that the secret in use does not open is not removed", async () => {
  const { tools, recovery } = await newVault();
  const { recoveryKey = "", leftOut } = await rotateDataKey(tools, TEST_SECRET, {});
  const newer: VaultSecret = { kind: "recovery-key", recoveryKey };
  assert.equal((await openVault(tools, newer, {})).dataKeys.size, 2);
  const { holders } = await listKeys(tools, newer, {});
  const older = holders.filter(({ opensNewest }) => !opensNewest).map(({ wrapId }) => wrapId);
  assert.equal(older.length, 1);
  assert.deepEqual(leftOut, older);
  const passphrase = holders.find(({ kind }) => kind === "passphrase")?.wrapId ?? "";
  await assert.rejects(removeHolder(tools, recovery, passphrase, {}), code("vault.key-needed"));
});

test("a rotated data key seals new objects, the old ones open, and an earlier recovery key is told to be left out", async () => {
  const { tools, vault, recovery } = await newVault();
  const rotation = await rotateDataKey(tools, TEST_SECRET, {});
  const rotated = await readsOld(tools, TEST_SECRET);
  assert.equal(rotated.dataKey.id, rotation.keyId);
  assert.notEqual(rotated.dataKey.id, vault.dataKey.id);
  await putBlob(rotated, { name: "wal/1/history/00000003", plain: Buffer.from("new") }, {});
  await assert.rejects(
    getBlob(await readsOld(tools, recovery), "wal/1/history/00000003", {}),
    code("vault.key-missing"),
  );
  const printed: VaultSecret = { kind: "recovery-key", recoveryKey: rotation.recoveryKey ?? "" };
  assert.equal((await getBlob(await readsOld(tools, printed), "wal/1/history/00000003", {})).toString(), "new");
  // Who is added afterwards opens both, and seals with the newer one although its clock is behind.
  const behind = { ...tools, clock: { ...systemClock, now: () => (systemClock.now() - 86_400_000) as Instant } };
  const { recipient, identity } = await newIdentity();
  const { pin } = await addHolder(behind, printed, { holder: { kind: "age", recipient }, label: "" }, {});
  const added = await readsOld(tools, { kind: "identity", identities: `${identity}\n${pin}` });
  assert.deepEqual([...added.dataKeys.keys()], [vault.dataKey.id, rotation.keyId]);
  assert.equal((await rotateDataKey(behind, printed, {})).recoveryKey, undefined);
  const twice = await openVault(tools, { kind: "identity", identities: `${identity}\n${pin}` }, {});
  assert.equal(twice.dataKeys.size, 3);
  assert.equal(twice.dataKey.id, (await openVault(tools, printed, {})).dataKey.id);
});

test("a vault takes so many data keys and no more", async () => {
  const { tools, vault, recovery } = await newVault();
  assert.ok(recovery.kind === "recovery-key");
  for (let count = 1; count < DATA_KEYS_MAX; count += 1) {
    const dataKey = createDataKey(systemRandom);
    const now = systemClock.now();
    const wrap = await wrapDataKey({ vaultId: vault.id, dataKey, secret: recovery, now }, systemRandom);
    await tools.store.put(keyWrapName({ keyId: dataKey.id, wrapId: "0".repeat(16) }), [wrap]);
  }
  await assert.rejects(rotateDataKey(tools, recovery, {}), code("vault.keys-full"));
  assert.equal((await readsOld(tools, recovery)).dataKeys.size, DATA_KEYS_MAX);
});

test("a new passphrase replaces the old ones and leaves other kinds of holders", async () => {
  const { tools, recovery } = await newVault();
  const { removed } = await rewrapPassphrase(tools, recovery, { passphrase: "new one", label: "" }, {});
  assert.equal(removed.length, 1);
  await readsOld(tools, { kind: "passphrase", passphrase: "new one" });
  await readsOld(tools, recovery);
  await assert.rejects(openVault(tools, TEST_SECRET, {}), code("vault.wrong-key"));
});

test("a new passphrase is refused to one who opens only part of the data keys, and nothing changes", async () => {
  const { tools, recovery } = await newVault();
  const early: VaultSecret = { kind: "passphrase", passphrase: "early" };
  await addHolder(tools, recovery, { holder: { kind: "passphrase", passphrase: "early" }, label: "" }, {});
  await rotateDataKey(tools, TEST_SECRET, {});
  const rotated = await openVault(tools, TEST_SECRET, {});
  await putBlob(rotated, { name: "wal/1/history/00000003", plain: Buffer.from("new") }, {});
  const before = await keyNames(tools);
  for (const secret of [early, recovery]) {
    const rewrapped = rewrapPassphrase(tools, secret, { passphrase: "new one", label: "" }, {});
    await assert.rejects(rewrapped, code("vault.keys-unopened"));
    assert.deepEqual(await keyNames(tools), before);
  }
  // By one who opens both it goes through: one passphrase is left, and it opens all there is.
  const { added, removed } = await rewrapPassphrase(tools, TEST_SECRET, { passphrase: "new one", label: "" }, {});
  assert.deepEqual([added.dataKeyCount, added.allDataKeyCount, added.opensNewest, removed.length], [2, 2, true, 2]);
  const opened = await readsOld(tools, { kind: "passphrase", passphrase: "new one" });
  assert.equal((await getBlob(opened, "wal/1/history/00000003", {})).toString(), "new");
});

test("who is added by one whom a rotation left out is told to open only part", async () => {
  const { tools, recovery } = await newVault();
  const rotation = await rotateDataKey(tools, TEST_SECRET, {});
  const holder = { kind: "passphrase", passphrase: "second" } as const;
  const part = await addHolder(tools, recovery, { holder, label: "" }, {});
  assert.deepEqual([part.dataKeyCount, part.allDataKeyCount, part.opensNewest], [1, 2, false]);
  // The older data key has the latest wrap by now.
  const again = await addHolder(
    tools,
    recovery,
    { holder: { kind: "passphrase", passphrase: "third" }, label: "" },
    {},
  );
  assert.deepEqual([again.dataKeyCount, again.allDataKeyCount, again.opensNewest], [1, 2, false]);
  const printed: VaultSecret = { kind: "recovery-key", recoveryKey: rotation.recoveryKey ?? "" };
  const all = await addHolder(tools, printed, { holder: { kind: "recovery-key" }, label: "" }, {});
  assert.deepEqual([all.dataKeyCount, all.allDataKeyCount, all.opensNewest], [2, 2, true]);
});

test("a passphrase or recipient that one whom a rotation left out adds once more goes on sealing with the newest data key", async () => {
  const { tools, vault, recovery } = await newVault();
  const { identity, recipient } = await newIdentity();
  const age = { kind: "age", recipient } as const;
  const { pin } = await addHolder(tools, recovery, { holder: age, label: "" }, {});
  const { keyId } = await rotateDataKey(tools, TEST_SECRET, {});
  assert.equal(await opensNewestKey(await openVault(tools, recovery, {}), {}), false);
  assert.ok(TEST_SECRET.kind === "passphrase");
  const added = await addHolder(tools, recovery, { holder: TEST_SECRET, label: "" }, {});
  assert.equal(added.opensNewest, false);
  await addHolder(tools, recovery, { holder: age, label: "" }, {});
  for (const secret of [TEST_SECRET, { kind: "identity", identities: `${identity}\n${pin}` } as const]) {
    const { dataKey, dataKeys } = await openVault(tools, secret, {});
    assert.deepEqual([dataKey.id, [...dataKeys.keys()]], [keyId, [vault.dataKey.id, keyId]], secret.kind);
    assert.equal(await opensNewestKey({ ...tools, dataKeys }, {}), true);
  }
});

test("where there is no passphrase to take the place of, one that opens part is added, and said to", async () => {
  const { tools, recovery } = await newVault();
  const holders = (await listKeys(tools, recovery, {})).holders;
  await removeHolder(tools, recovery, holders.find(({ kind }) => kind === "passphrase")?.wrapId ?? "", {});
  const { identity, recipient } = await newIdentity();
  const { pin } = await addHolder(tools, recovery, { holder: { kind: "age", recipient }, label: "" }, {});
  await addHolder(tools, recovery, { holder: { kind: "recovery-key" }, label: "left out" }, {});
  const aged: VaultSecret = { kind: "identity", identities: `${identity}\n${pin}` };
  await rotateDataKey(tools, aged, {});
  const { added, removed } = await rewrapPassphrase(tools, recovery, { passphrase: "new one", label: "" }, {});
  assert.deepEqual([added.dataKeyCount, added.allDataKeyCount, added.opensNewest, removed], [1, 2, false, []]);
});

test("a passphrase that opens more than the new one, since somebody rotated meanwhile, is left whole, and that is told", async () => {
  const { tools, recovery } = await newVault();
  let rotating = false;
  const store: Store = {
    ...methodsOf(tools.store),
    put: async (key, parts, options) => {
      await tools.store.put(key, parts, options);
      // Between the new passphrase's wrap and the listing of what it takes the place of.
      if (rotating || !key.startsWith(KEYS_PREFIX)) return;
      rotating = true;
      await rotateDataKey(tools, TEST_SECRET, {});
    },
  };
  const rewrapped = rewrapPassphrase({ ...tools, store }, recovery, { passphrase: "new one", label: "" }, {});
  await assert.rejects(rewrapped, code("vault.keys-changed"));
  assert.ok(rotating);
  assert.equal((await readsOld(tools, TEST_SECRET)).dataKeys.size, 2);
});

test("a vault without encryption has no keys to manage", async () => {
  const tools = {
    store: openMemoryStore({ clock: systemClock }),
    clock: systemClock,
    random: systemRandom,
    stretchCost: NO_STRETCH,
  };
  await initVault(tools, { kind: "open" }, {});
  assert.deepEqual(
    (await listKeys(tools, { kind: "open" }, {})).holders.map(({ kind }) => kind),
    ["open"],
  );
  await assert.rejects(rotateDataKey(tools, { kind: "open" }, {}), code("vault.not-encrypted"));
});

test("a wrap of somebody else that the disk does not give shuts nobody out, and keeps everybody from changing keys", async () => {
  const { tools, recovery, vault } = await newVault();
  const names = await keyNames(tools);
  const kinds = new Map((await listKeys(tools, recovery, {})).holders.map(({ wrapId, kind }) => [wrapId, kind]));
  const [lost = ""] = names.filter((name) => kinds.get(name.slice(-21, -5)) === "passphrase");
  const get: Store["get"] = (key, options) =>
    key === lost ? Promise.reject(new LifeboatError("store.failed", REFUSED)) : tools.store.get(key, options);
  const ailing = { ...tools, store: { ...methodsOf(tools.store), put: tools.store.put, get } };
  const opened = await readsOld(ailing, recovery);
  assert.deepEqual(opened.dataKey, vault.dataKey);
  assert.deepEqual((await listKeys(ailing, recovery, {})).unreadable, [lost]);
  const { findings } = await checkVault(opened, { readData: false, onProgress: () => undefined });
  assert.deepEqual(
    findings.map(({ object }) => object),
    [lost],
  );
  await assert.rejects(openVault(ailing, TEST_SECRET, {}), /I\/O error; no other key wrap/);
  const other: NewHolder = { kind: "recovery-key" };
  for (const change of [
    addHolder(ailing, recovery, { holder: other, label: "" }, {}),
    removeHolder(ailing, recovery, lost.slice(-21, -5), {}),
    rewrapPassphrase(ailing, recovery, { passphrase: "new", label: "" }, {}),
    rotateDataKey(ailing, recovery, {}),
  ]) {
    await assert.rejects(change, code("store.failed"));
  }
  assert.deepEqual(await keyNames(tools), names);
});

const REFUSED = { message: "I/O error", remedy: "Look at the disk." };

test("a wrap that the disk does not give ends the opening where it may be of the newest data key", async () => {
  const { tools, recovery } = await newVault();
  const before = await keyNames(tools);
  await rotateDataKey(tools, recovery, {});
  const newer = (await keyNames(tools)).filter((name) => !before.includes(name));
  const get: Store["get"] = (key, options) =>
    newer.includes(key) ? Promise.reject(new LifeboatError("store.failed", REFUSED)) : tools.store.get(key, options);
  const ailing = { ...tools, store: { ...methodsOf(tools.store), put: tools.store.put, get } };
  await assert.rejects(openVault(ailing, recovery, {}), code("store.failed"));
});

test("a wrap that does not read back as it was stored ends the command before anything older is removed", async () => {
  const { tools, recovery } = await newVault();
  const keyNames = (await listKeys(tools, recovery, {})).holders.length;
  // Opening the vault reads the marker and every wrap, listing reads every wrap once more, both twice; the next get is the read-back.
  const at = 2 * (1 + 2 * keyNames) + 1;
  const faulty = faultyStore({
    store: tools.store,
    clock: systemClock,
    faults: [{ kind: "flipped", offset: 60, at, on: "get" }],
  });
  const faults = { ...tools, store: faulty.store };
  const rewrapped = rewrapPassphrase(faults, recovery, { passphrase: "new one", label: "" }, {});
  await assert.rejects(rewrapped, code("vault.object-damaged"));
  faulty.assertFired();
  await readsOld(tools, TEST_SECRET);
});

type Sweep = {
  readonly what: string;
  readonly secret: VaultSecret;
  readonly run: (tools: VaultTools) => Promise<unknown>;
};

/** Fails effect 1, 2, 3 … before and after it is done, until the work succeeds; calls `holds` after each. */
async function sweep(start: VaultTools, of: Sweep, holds: (tools: VaultTools) => Promise<void>): Promise<number> {
  let count = 0;
  for (let at = 1; ; at += 1) {
    for (const kind of ["fail-before", "fail-after"] as const) {
      const tools = await copyOf(start);
      const fault: StoreFault = { kind, at };
      const faulty = faultyStore({ store: tools.store, clock: systemClock, faults: [fault] });
      const failed = await of.run({ ...tools, store: faulty.store }).then(
        () => false,
        (error: unknown) => {
          assert.ok(isLifeboatError(error), String(error));
          return true;
        },
      );
      if (faulty.effects.length < at) {
        assert.ok(!failed);
        return count;
      }
      faulty.assertFired();
      // The marker has a copy, and opening passes over a wrap that it can do without.
      assert.ok(failed || faulty.effects[at - 1]?.operation === "get", `${kind} at ${at}`);
      await holds(tools);
      // The same command again finds its way.
      await of.run(tools);
      await holds(tools);
      count += 1;
    }
  }
}

test("adding, removing and rotating cut at any effect leave the secret in use opening everything", async () => {
  const { tools, recovery } = await newVault();
  const { identity, recipient } = await newIdentity();
  const { pin, wrapId } = await addHolder(tools, recovery, { holder: { kind: "age", recipient }, label: "" }, {});
  // Without the passphrase's wrap no effect here has to stretch one.
  const passphrase = (await listKeys(tools, recovery, {})).holders.find(({ kind }) => kind === "passphrase");
  await removeHolder(tools, recovery, passphrase?.wrapId ?? "", {});
  await rotateDataKey(tools, recovery, {});
  const aged: VaultSecret = { kind: "identity", identities: `${identity}\n${pin}` };
  const other = (await newIdentity()).recipient;
  const runs: readonly Sweep[] = [
    {
      what: "add",
      secret: recovery,
      run: (on) => addHolder(on, recovery, { holder: { kind: "age", recipient: other }, label: "" }, {}),
    },
    {
      what: "add",
      secret: aged,
      run: (on) => addHolder(on, aged, { holder: { kind: "recovery-key" }, label: "" }, {}),
    },
    { what: "rotate", secret: recovery, run: (on) => rotateDataKey(on, recovery, {}) },
    { what: "rotate", secret: aged, run: (on) => rotateDataKey(on, aged, {}) },
  ];
  for (const each of runs) {
    const count = await sweep(tools, each, async (on) => {
      const vault = await readsOld(on, each.secret);
      assert.ok(vault.dataKeys.size >= 2);
      await readsOld(on, recovery);
      await readsOld(on, aged);
    });
    assert.ok(count > 10, `${each.what}: ${count} faults`);
  }
  const remove: Sweep = {
    what: "remove",
    secret: recovery,
    run: (on) =>
      removeHolder(on, recovery, wrapId, {}).catch((error) => {
        if (!isLifeboatError(error, "vault.wrap-unknown")) throw error;
      }),
  };
  assert.ok((await sweep(tools, remove, async (on) => void (await readsOld(on, recovery)))) > 5);
});

test("a new passphrase cut at any effect leaves the vault opening with the old one or the new", async () => {
  const { tools, recovery } = await newVault();
  const passphrases: readonly VaultSecret[] = [TEST_SECRET, { kind: "passphrase", passphrase: "new" }];
  const rewrap: Sweep = {
    what: "rewrap",
    secret: recovery,
    run: (on) => rewrapPassphrase(on, recovery, { passphrase: "new", label: "" }, {}),
  };
  const count = await sweep(tools, rewrap, async (on) => {
    await readsOld(on, recovery);
    const opens = passphrases.map((secret) =>
      readsOld(on, secret).then(
        () => true,
        () => false,
      ),
    );
    assert.ok((await Promise.all(opens)).includes(true));
  });
  assert.ok(count > 10, `${count} faults`);
});

test("a pin names one data key of one vault", async () => {
  const { vault } = await newVault();
  assert.notEqual(pinLine(vault.dataKey, vault.id), pinLine(vault.dataKey, "0".repeat(32)));
  assert.ok(!pinLine(vault.dataKey, vault.id).includes(vault.dataKey.secret.toString("hex").slice(0, 16)));
});
