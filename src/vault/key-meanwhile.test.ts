import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { addHolder, listKeys, removeHolder, rewrapPassphrase, rotateDataKey } from "./key-ring.ts";
import { NO_STRETCH, type VaultSecret } from "./keys.ts";
import { initVault, openVault, type VaultTools } from "./vault.ts";

const NEXT = { kind: "passphrase", passphrase: "next" } as const;
const OTHER = { kind: "passphrase", passphrase: "other" } as const;

async function newVault() {
  const store = openMemoryStore({ clock: systemClock });
  const tools: VaultTools = { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
  const { recoveryKey = "" } = await initVault(tools, TEST_SECRET, {});
  return { tools, recovery: { kind: "recovery-key", recoveryKey } as const };
}

type Looks = "looks too" | "changes only";

/** The store of one of two; `before` runs before each of its changes, or looks at what is there, with the count of those so far. */
function stepped(store: Store, stops: Looks, before: (count: number) => Promise<void>): Store {
  let count = 0;
  const step = async () => before(count++);
  const look = async () => (stops === "looks too" ? step() : undefined);
  return {
    name: store.name,
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    put: async (key, parts, options) => {
      await step();
      await store.put(key, parts, options);
    },
    head: async (key, options) => {
      await look();
      return store.head(key, options);
    },
    list: async function* (prefix, options) {
      await look();
      yield* store.list(prefix, options);
    },
    delete: async (key, options) => {
      await step();
      await store.delete(key, options);
    },
  };
}

/** What became of one command: what it returned, what it said instead, or that it was cut. */
type End<T> = { readonly ok?: T; readonly code?: string };

const NO_CUT = ["none"] as const;
const CUTS = ["none", "first", "second"] as const;
const CUT = new LifeboatError("store.failed", { message: "cut, as planned", remedy: "None." });

async function endOf<T>(work: Promise<T>): Promise<End<T>> {
  try {
    return { ok: await work };
  } catch (error) {
    assert.ok(isLifeboatError(error), String(error));
    return { code: error === CUT ? "cut" : error.code };
  }
}

/**
 * Runs two commands on one vault: the first up to its call `k`, then the second up to its change `m`, then the first to its end,
 * then the second, for every k and m; and where asked for the same with either cut where it stopped.
 */
async function interleave<V extends { readonly tools: VaultTools }, A, B>(
  make: () => Promise<V>,
  cuts: readonly ("none" | "first" | "second")[],
  first: (tools: VaultTools, vault: V) => Promise<A>,
  second: (tools: VaultTools, vault: V) => Promise<B>,
  holds: (vault: V, ends: { readonly first: End<A>; readonly second: End<B> }, at: string) => Promise<void>,
): Promise<void> {
  for (let k = 0, begun = true; begun; k += 1) {
    begun = false;
    for (let m = 0, stopped = true; stopped; m += 1) {
      stopped = false;
      for (const cut of cuts) {
        const vault = await make();
        const { store } = vault.tools;
        const secondStops = Promise.withResolvers<void>();
        const firstEnds = Promise.withResolvers<void>();
        let running: Promise<End<B>> | undefined;
        const begin = () => {
          const own = stepped(store, "changes only", async (count) => {
            if (count === m) {
              stopped = true;
              secondStops.resolve();
              await firstEnds.promise;
            }
            if (count >= m && cut === "second") throw CUT;
          });
          running = endOf(second({ ...vault.tools, store: own }, vault)).finally(() => secondStops.resolve());
        };
        const own = stepped(store, "looks too", async (count) => {
          if (count === k) {
            begun = true;
            begin();
            await secondStops.promise;
          }
          if (count >= k && cut === "first") throw CUT;
        });
        const ended = await endOf(first({ ...vault.tools, store: own }, vault));
        firstEnds.resolve();
        if (running === undefined) break;
        const ends = { first: ended, second: await running };
        await holds(vault, ends, `k ${k}, m ${m}, cut ${cut}: ${ends.first.code ?? "ok"}, ${ends.second.code ?? "ok"}`);
      }
    }
    assert.ok(k < 100);
  }
}

/** How many data keys each secret opens; 0 where it does not open the vault. */
async function opens(tools: VaultTools, secrets: readonly VaultSecret[]): Promise<readonly number[]> {
  const counts: number[] = [];
  for (const secret of secrets) {
    const vault = await openVault(tools, secret, {}).catch((error: unknown) => {
      if (!isLifeboatError(error, "vault.wrong-key")) throw error;
    });
    counts.push(vault?.dataKeys.size ?? 0);
  }
  return counts;
}

test("two new passphrases at once: one is left whatever is cut, the old one is gone when both say so", async () => {
  for (const also of [NEXT, OTHER]) {
    await interleave(
      newVault,
      also === OTHER ? CUTS : NO_CUT,
      (tools) => rewrapPassphrase(tools, TEST_SECRET, { passphrase: NEXT.passphrase, label: "" }, {}),
      (tools) => rewrapPassphrase(tools, TEST_SECRET, { passphrase: also.passphrase, label: "" }, {}),
      async ({ tools }, ends, at) => {
        const [old = 0, next = 0, other = 0] = await opens(tools, [TEST_SECRET, NEXT, also]);
        assert.ok(old + next + other > 0, at);
        if (ends.first.ok !== undefined || ends.second.ok !== undefined) assert.ok(old === 0 && next + other > 0, at);
        // Each is to be the only one: where there are two, at least one of them says so.
        const both = ends.first.ok !== undefined && ends.second.ok !== undefined;
        if (also === NEXT) assert.ok(ends.first.ok !== undefined || ends.second.ok !== undefined, at);
        if (also === OTHER && both) assert.ok(next + other === 1, at);
      },
    );
  }
});

test("a passphrase that came since a rewrap began is left by it, and told", async () => {
  const { tools } = await newVault();
  let came = false;
  const store = stepped(tools.store, "changes only", async () => {
    if (came) return;
    came = true;
    await addHolder(tools, TEST_SECRET, { holder: OTHER, label: "" }, {});
  });
  const rewrapped = rewrapPassphrase({ ...tools, store }, TEST_SECRET, { passphrase: NEXT.passphrase, label: "" }, {});
  assert.deepEqual(await endOf(rewrapped), { code: "vault.keys-changed" });
  assert.deepEqual(await opens(tools, [TEST_SECRET, NEXT, OTHER]), [0, 1, 1]);
});

test("two rotations at once: the recovery key that is printed opens every data key, or is told not to", async () => {
  await interleave(
    newVault,
    NO_CUT,
    (tools) => rotateDataKey(tools, TEST_SECRET, {}),
    (tools) => rotateDataKey(tools, TEST_SECRET, {}),
    async ({ tools }, ends, at) => {
      const [passphrase = 0] = await opens(tools, [TEST_SECRET]);
      assert.ok(passphrase > 0, at);
      const { holders } = await listKeys(tools, TEST_SECRET, {});
      const rotations = [ends.first.ok, ends.second.ok].filter((each) => each !== undefined);
      for (const { recoveryKey = "" } of rotations) {
        const printed: VaultSecret = { kind: "recovery-key", recoveryKey };
        const [count] = await opens(tools, [printed]);
        if (count === passphrase) continue;
        const { wrapId } = (await listKeys(tools, printed, {})).holders.find(({ proven }) => proven) ?? {};
        const told = rotations.some(({ leftOut }) => wrapId !== undefined && leftOut.includes(wrapId));
        assert.ok(told, `${at}: opens ${count} of ${passphrase}, ${holders.length} holders`);
      }
    },
  );
});

test("a rotation beside a new passphrase: one passphrase opens every data key, and who says so is right", async () => {
  const rotate = (tools: VaultTools) => rotateDataKey(tools, TEST_SECRET, {});
  const rewrap = (tools: VaultTools) =>
    rewrapPassphrase(tools, TEST_SECRET, { passphrase: NEXT.passphrase, label: "" }, {});
  const holds = async (tools: VaultTools, rotated: End<unknown>, rewrapped: End<unknown>, at: string) => {
    const [old = 0, next = 0] = await opens(tools, [TEST_SECRET, NEXT]);
    const found = `${at}: old opens ${old}, new ${next}`;
    assert.ok(old + next > 0, found);
    // Never one data key by one and the other by the other.
    const { dataKeyCount } = await listKeys(tools, old > next ? TEST_SECRET : NEXT, {});
    if (rotated.ok !== undefined) assert.equal(Math.max(old, next), dataKeyCount, found);
    if (rewrapped.ok !== undefined) assert.ok(next === dataKeyCount && old === 0, found);
  };
  await interleave(newVault, NO_CUT, rotate, rewrap, ({ tools }, { first, second }, at) =>
    holds(tools, first, second, at),
  );
  await interleave(newVault, NO_CUT, rewrap, rotate, ({ tools }, { first, second }, at) =>
    holds(tools, second, first, at),
  );
});

test("two holders who remove each other: one of them is left", async () => {
  const make = async () => {
    const vault = await newVault();
    const holder = { kind: "passphrase", passphrase: NEXT.passphrase } as const;
    const next = await addHolder(vault.tools, TEST_SECRET, { holder, label: "" }, {});
    const { holders } = await listKeys(vault.tools, TEST_SECRET, {});
    const old = holders.find(({ kind, wrapId }) => kind === "passphrase" && wrapId !== next.wrapId);
    return { ...vault, next: next.wrapId, old: old?.wrapId ?? "" };
  };
  await interleave(
    make,
    CUTS,
    (tools, { next }) => removeHolder(tools, TEST_SECRET, next, {}),
    (tools, { old }) => removeHolder(tools, NEXT, old, {}),
    async ({ tools }, ends, at) => {
      const [old = 0, next = 0] = await opens(tools, [TEST_SECRET, NEXT]);
      assert.ok(old + next > 0, at);
      if (ends.first.ok !== undefined) assert.equal(next, 0, at);
      if (ends.second.ok !== undefined) assert.equal(old, 0, at);
    },
  );
});

test("an age recipient that is removed beside a rotation opens nothing new", async () => {
  const recipient = await identityToRecipient(await generateX25519Identity());
  const make = async () => {
    const vault = await newVault();
    const { wrapId } = await addHolder(
      vault.tools,
      vault.recovery,
      { holder: { kind: "age", recipient }, label: "" },
      {},
    );
    return { ...vault, wrapId };
  };
  for (const from of ["recovery", "passphrase"] as const) {
    await interleave(
      make,
      NO_CUT,
      (tools, { recovery }) => rotateDataKey(tools, from === "recovery" ? recovery : TEST_SECRET, {}),
      (tools, { wrapId, recovery }) => removeHolder(tools, recovery, wrapId, {}),
      async ({ tools, recovery, wrapId }, ends, at) => {
        const { holders } = await listKeys(tools, recovery, {});
        const left = holders.find((each) => each.wrapId === wrapId);
        if (ends.second.ok !== undefined) assert.equal(left, undefined, at);
      },
    );
  }
});
