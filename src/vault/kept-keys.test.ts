import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Monotonic, systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { KeptKeys } from "./kept-keys.ts";
import { addHolder, removeHolder, rewrapPassphrase, rotateDataKey } from "./key-ring.ts";
import { NO_STRETCH, type VaultSecret } from "./keys.ts";
import { checkSameVault } from "./same-vault.ts";
import { initVault, openVault } from "./vault.ts";
import { getSegment, putSegment } from "./wal-store.ts";

const LEAVER = { kind: "passphrase", passphrase: "somebody's who leaves" } as const;
const SYSTEM = "7" as SystemId;

/** A vault that two hold, kept open by one of them. */
async function keptVault(reopen?: () => Promise<never>, configured: { secret: VaultSecret } = { secret: TEST_SECRET }) {
  const store = openMemoryStore({ clock: systemClock });
  const tools = { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
  await initVault(tools, TEST_SECRET, {});
  const { wrapId } = await addHolder(tools, TEST_SECRET, { holder: LEAVER, label: "" }, {});
  const opened: number[] = [];
  const leftOut: (string | undefined)[] = [];
  const times = { ms: 0, caughtUp: 0 };
  const kept = new KeptKeys(await openVault(tools, configured.secret, {}), {
    clock: { monotonic: () => times.ms as Monotonic },
    reopen: async (options) => {
      opened.push(opened.length);
      return reopen === undefined ? await openVault(tools, configured.secret, options) : await reopen();
    },
    onLeftOut: (why) => leftOut.push(why),
    onCaughtUp: () => {
      times.caughtUp += 1;
    },
  });
  const storeNext = async (segment: string): Promise<void> => {
    await kept.renew(await checkSameVault(kept.vault, {}), {});
    await putSegment(kept.vault, { systemId: SYSTEM, segment, bytes: Buffer.from(segment) }, {});
  };
  return { tools, wrapId, kept, opened, leftOut, times, store: storeNext };
}

test("what is stored after somebody was removed and the data key rotated does not open for him, and all of it opens for who stays", async () => {
  const { tools, wrapId, kept, opened, leftOut, store } = await keptVault();
  const segments = ["000000010000000000000001", "000000010000000000000002", "000000010000000000000003"] as const;
  await store(segments[0]);
  const leaver = await openVault(tools, LEAVER, {});
  await removeHolder(tools, TEST_SECRET, wrapId, {});
  await rotateDataKey(tools, TEST_SECRET, {});
  for (const segment of segments.slice(1)) await store(segment);
  const [before, after] = segments;
  assert.equal(String(await getSegment(leaver, { systemId: SYSTEM, segment: before }, {})), before);
  await assert.rejects(getSegment(leaver, { systemId: SYSTEM, segment: after }, {}), (error) =>
    isLifeboatError(error, "vault.key-missing"),
  );
  for (const segment of segments) {
    assert.equal(String(await getSegment(kept.vault, { systemId: SYSTEM, segment }, {})), segment);
  }
  // A passphrase is stretched once for a rotation, not for each segment.
  assert.deepEqual([opened.length, leftOut], [1, []]);
});

test("who a rotation left out goes on with the data key that he opens, and it is told once", async () => {
  const { tools, kept, opened, leftOut, store } = await keptVault(undefined, { secret: LEAVER });
  const { id } = kept.vault.dataKey;
  await rotateDataKey(tools, TEST_SECRET, {});
  for (const segment of ["000000010000000000000001", "000000010000000000000002"]) await store(segment);
  assert.equal(kept.vault.dataKey.id, id);
  assert.deepEqual([opened.length, leftOut], [1, [undefined]]);
});

test("a passphrase file that is brought up to date after the rotation is taken within ten minutes, without a restart", async () => {
  const configured: { secret: VaultSecret } = { secret: TEST_SECRET };
  const { tools, kept, opened, leftOut, times, store } = await keptVault(undefined, configured);
  await rewrapPassphrase(tools, TEST_SECRET, { passphrase: "new", label: "" }, {});
  const now = { kind: "passphrase", passphrase: "new" } as const;
  const { keyId } = await rotateDataKey(tools, now, {});
  await store("000000010000000000000001");
  configured.secret = now;
  times.ms = 599_999;
  await store("000000010000000000000002");
  assert.deepEqual([opened.length, leftOut.length, times.caughtUp], [1, 1, 0]);
  times.ms += 1;
  await store("000000010000000000000003");
  assert.deepEqual([kept.vault.dataKey.id, kept.vault.dataKeys.size], [keyId, 2]);
  assert.deepEqual([opened.length, leftOut.length, times.caughtUp], [2, 1, 1]);
});

test("a secret that is not at hand any more keeps no WAL waiting, a store that fails does until it answers", async () => {
  for (const [code, waits] of [
    ["config.secret-missing", false],
    ["store.failed", true],
  ] as const) {
    const failure = new LifeboatError(code, { message: "nobody answers", remedy: "Look.", retryable: waits });
    const { tools, leftOut, store } = await keptVault(() => Promise.reject(failure));
    await rotateDataKey(tools, TEST_SECRET, {});
    const storing = store("000000010000000000000001");
    if (waits) await assert.rejects(storing, failure);
    else await storing;
    assert.deepEqual(leftOut, waits ? [] : ["nobody answers"]);
  }
});
