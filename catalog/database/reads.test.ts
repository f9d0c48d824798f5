import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { HedgedReads } from "./reads.ts";
import { RetryBudget } from "./retry-budget.ts";

const NEVER = new Promise<never>(() => undefined);

/** A way by what it says of itself and what it answers; `fallSilent` is what its look sees. */
function wayOf(rows: () => Promise<readonly Readonly<Record<string, unknown>>[]>) {
  const told: (() => void)[] = [];
  return {
    view: "primary" as const,
    behindMs: 0,
    rows,
    rawRows: () => NEVER,
    suspect: () => undefined,
    onSilence: (tell: () => void) => {
      told.push(tell);
      return () => undefined;
    },
    fallSilent: () => {
      for (const tell of told) tell();
    },
    isListenedTo: () => told.length > 0,
  };
}

function spentBudget(): RetryBudget {
  const budget = new RetryBudget(new ManualClock());
  // So many that one call more gives no room for another.
  for (let call = 0; call < 104; call++) budget.count();
  let isLeft = true;
  while (isLeft) isLeft = budget.take();
  return budget;
}

const gone = Object.assign(new Error("gone"), { code: "57P01" });

test("a server that is gone is answered for by the other one, also when nothing may be repeated", async () => {
  const main = wayOf(() => Promise.reject(gone));
  const other = wayOf(async () => [{ a: 1 }]);
  const reads = new HedgedReads({ main, other, budget: spentBudget() });
  assert.deepEqual((await reads.read("select", [])).rows, [{ a: 1 }]);
});

test("a slow server is waited for when nothing may be repeated, until it is seen to be silent", async () => {
  const main = wayOf(() => NEVER);
  const other = wayOf(async () => [{ a: 2 }]);
  const reads = new HedgedReads({ main, other, budget: spentBudget() });
  const read = reads.read("select", []);
  while (!main.isListenedTo()) await new Promise((resolve) => setImmediate(resolve));
  main.fallSilent();
  assert.deepEqual((await read).rows, [{ a: 2 }]);
});

test("a replica that is far behind is not asked in the place of a primary that is slow, but in that of one that is gone", async () => {
  const answered = async (behindMs: number, main: ReturnType<typeof wayOf>): Promise<unknown> => {
    const other = { ...wayOf(async () => [{ a: 5 }]), behindMs };
    const reads = new HedgedReads({ main, other, budget: new RetryBudget(new ManualClock()) });
    const read = reads.read("select", []);
    while (!main.isListenedTo() && reads.hedged === 0) await new Promise((resolve) => setImmediate(resolve));
    const { hedged } = reads;
    main.fallSilent();
    return [hedged, (await read).behindMs];
  };
  const slow = (): ReturnType<typeof wayOf> => wayOf(() => NEVER);
  assert.deepEqual(await answered(1_000, slow()), [1, 1_000]);
  assert.deepEqual(await answered(60_000, slow()), [0, 60_000]);
  assert.deepEqual(
    await answered(
      60_000,
      wayOf(() => Promise.reject(gone)),
    ),
    [1, 60_000],
  );
});

test("what a server says is no reason to ask another one", async () => {
  const main = wayOf(() => Promise.reject(Object.assign(new Error("no such column"), { code: "42703" })));
  const other = wayOf(async () => [{ a: 3 }]);
  const reads = new HedgedReads({ main, other, budget: new RetryBudget(new ManualClock()) });
  await assert.rejects(reads.read("select", []), /no such column/);
  assert.equal(reads.hedged, 0);
});

test("a way that is lost while the other is waited for is asked again, once, and not when nothing may be repeated", async () => {
  /** Both lead to one server that is frozen; the second is led to another one when that is noticed, the first later. */
  const read = async (budget: RetryBudget, losses: number) => {
    let asked = 0;
    const frozen = Promise.withResolvers<never>();
    const main = { ...wayOf(() => frozen.promise), view: "silent" as const };
    const other = wayOf(async () => {
      asked += 1;
      if (asked > losses) return [{ a: asked }];
      // Long after what is done about this loss has been done.
      setTimeout(() => frozen.reject(gone), 20);
      throw gone;
    });
    const reads = new HedgedReads({ main, other: { ...other, view: "silent" as const }, budget });
    return await reads.read("select", []).then(
      ({ rows }) => rows,
      () => `lost after ${asked}`,
    );
  };
  assert.deepEqual(await read(new RetryBudget(new ManualClock()), 1), [{ a: 2 }]);
  assert.equal(await read(new RetryBudget(new ManualClock()), 9), "lost after 2");
  assert.equal(await read(spentBudget(), 1), "lost after 1");
});

test("an answer counts as the primary's only when a primary is seen there", async () => {
  for (const [view, from] of [
    ["primary", "primary"],
    ["silent", "replica"],
    ["unknown", "replica"],
  ] as const) {
    const main = { ...wayOf(async () => []), view };
    const reads = new HedgedReads({ main, other: undefined, budget: new RetryBudget(new ManualClock()) });
    assert.equal((await reads.read("select", [])).from, from);
  }
});

test("a replica whose replay takes away what is read is answered for by the other one", async () => {
  const main = wayOf(() => Promise.reject(Object.assign(new Error("conflict with recovery"), { code: "40001" })));
  const other = wayOf(async () => [{ a: 4 }]);
  const reads = new HedgedReads({ main, other, budget: new RetryBudget(new ManualClock()) });
  assert.deepEqual((await reads.read("select", [])).rows, [{ a: 4 }]);
});
