import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { wrapForRecipient } from "./key-age.ts";
import { addHolder, listKeys, rotateDataKey } from "./key-ring.ts";
import { createDataKey, NO_STRETCH, type VaultSecret } from "./keys.ts";
import { KEYS_PREFIX, keyWrapName } from "./names.ts";
import { initVault, openVault } from "./vault.ts";

async function newIdentity() {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** A vault whose data key was rotated after one left who keeps the old one, and can write to it. A host opens it by an identity. */
async function leftAndRotated() {
  const store = openMemoryStore({ clock: systemClock });
  const tools = { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
  const { vault: leaver } = await initVault(tools, TEST_SECRET, {});
  const { identity, recipient } = await newIdentity();
  const age = { kind: "age", recipient } as const;
  const { pin, wrapId } = await addHolder(tools, TEST_SECRET, { holder: age, label: "host" }, {});
  const rotation = await rotateDataKey(tools, TEST_SECRET, {});
  const host = (...pins: readonly (string | undefined)[]): VaultSecret => {
    return { kind: "identity", identities: [identity, ...pins, ""].join("\n") };
  };
  const sealsWith = async (secret: VaultSecret) => (await openVault(tools, secret, {})).dataKey.id;
  /** What he can make: a wrap of a data key that he knows, with any date, vouched for by those. */
  const plant = async (to: string, afterMs: number, dataKey = leaver.dataKey) => {
    const now = (systemClock.now() + afterMs) as Instant;
    const known = [leaver.dataKey, dataKey];
    const bytes = await wrapForRecipient({ vaultId: leaver.id, dataKey, recipient: to, label: "host", now, known });
    const planted = systemRandom(8).toString("hex");
    await store.put(keyWrapName({ keyId: dataKey.id, wrapId: planted }), [bytes]);
    return planted;
  };
  return { tools, leaver, recipient, age, pin, wrapId, rotation, host, sealsWith, plant };
}

test("who left and wraps the old data key once more for a recipient takes its host not back to it", async () => {
  const { recipient, pin, rotation, host, sealsWith, plant } = await leftAndRotated();
  await plant(recipient, 60_000);
  assert.equal(await sealsWith(host(pin)), rotation.keyId);
});

test("with the pin of the rotation no data key of who left seals, whatever its date, and what was sealed before opens", async () => {
  const { tools, leaver, age, wrapId, recipient, pin, rotation, host, sealsWith, plant } = await leftAndRotated();
  // The recipient is added once more: the newest data key vouches for the old one from now on.
  await addHolder(tools, TEST_SECRET, { holder: age, label: "" }, {});
  for (const afterMs of [-60_000, 0, 60_000]) await plant(recipient, afterMs, createDataKey(systemRandom));
  const first = keyWrapName({ keyId: leaver.dataKey.id, wrapId });
  await tools.store.delete(first);
  await plant(recipient, 60_000);
  for (const pins of [[pin, rotation.pin], [rotation.pin]]) {
    assert.equal(await sealsWith(host(...pins)), rotation.keyId);
    const { dataKeys } = await openVault(tools, host(...pins), {});
    assert.ok(dataKeys.get(leaver.dataKey.id)?.secret.equals(leaver.dataKey.secret) === true);
  }
  const next = await rotateDataKey(tools, TEST_SECRET, {});
  assert.equal(await sealsWith(host(pin, rotation.pin)), next.keyId);
  assert.equal(await sealsWith(host(pin, rotation.pin, next.pin)), next.keyId);
});

test("a recipient for whom only an old data key vouches gets no new one and is not proven, one that was there before the rotation is", async () => {
  const { tools, age, wrapId, rotation, plant } = await leftAndRotated();
  const planted = await plant((await newIdentity()).recipient, -60_000);
  const { recipient } = await newIdentity();
  const other = await addHolder(tools, TEST_SECRET, { holder: { ...age, recipient }, label: "" }, {});
  const { holders } = await listKeys(tools, TEST_SECRET, {});
  const proven = (id: string) => holders.find((holder) => holder.wrapId === id)?.proven;
  assert.deepEqual([proven(planted), proven(wrapId), proven(other.wrapId)], [false, true, true]);
  const next = await rotateDataKey(tools, TEST_SECRET, {});
  assert.ok(next.leftOut.includes(planted));
  const names: string[] = [];
  for await (const { key } of tools.store.list(`${KEYS_PREFIX}${next.keyId}/`)) names.push(key);
  assert.ok(!names.some((name) => name.includes(planted)));
  assert.ok([wrapId, other.wrapId].every((id) => names.some((name) => name.includes(id))));
  assert.ok(rotation.wrappedFor.includes(wrapId));
});
