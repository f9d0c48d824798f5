import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { RetryBudget } from "./retry-budget.ts";
import { WriteNotDone, Writes } from "./writes.ts";

/** Writes on a way that is gone, with so many calls that wait for a connection. */
function writesOn(waiting: number, clock = new ManualClock(), code = "57P01", told: string[] = []): Writes {
  return new Writes({
    clock,
    tell: (what) => told.push(what),
    random: (bytes) => Buffer.alloc(bytes),
    budget: new RetryBudget(clock),
    way: {
      load: { lent: 16, waiting, untilPrimary: 0 },
      lend: () => Promise.reject(Object.assign(new Error("gone"), { code })),
      untilPrimary: async (timeoutMs) => {
        await clock.sleep(timeoutMs, {});
        return false;
      },
    },
  });
}

const isFull = (error: unknown): boolean => error instanceof WriteNotDone && error.reason === "full";
const nothing = (): Promise<void> => Promise.resolve();

test("writes that wait are bounded in what they keep in memory", async () => {
  const writes = writesOn(0);
  for (let each = 0; each < 16; each++) void writes.run(nothing, { repeatable: true, bytes: 4 * 1024 * 1024 });
  while (writes.waiting < 16) await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(writes.run(nothing, { repeatable: true, bytes: 1 }), isFull);
  assert.equal(writes.held.shed, 1);
});

test("writes in line for a connection of a server that hangs are bounded in what they keep, and make room when they end", {
  timeout: 9_000,
}, async () => {
  const clock = new ManualClock();
  const ends: ((error: Error) => void)[] = [];
  const writes = new Writes({
    clock,
    random: (bytes) => Buffer.alloc(bytes),
    budget: new RetryBudget(clock),
    way: {
      load: { lent: 16, waiting: 16, untilPrimary: 0 },
      lend: () => new Promise((_resolve, reject) => ends.push(reject)),
      untilPrimary: () => Promise.resolve(false),
    },
  });
  const asked = { repeatable: true, bytes: 4 * 1024 * 1024 };
  const all = Array.from({ length: 32 }, () => assert.rejects(writes.run(nothing, asked), /no row/));
  await assert.rejects(writes.run(nothing, { repeatable: true, bytes: 1 }), isFull);
  for (const end of ends.splice(0)) end(new Error("no row"));
  await Promise.all(all);
  const later = assert.rejects(writes.run(nothing, asked), /no row/);
  for (const end of ends) end(new Error("no row"));
  await later;
});

test("that writes are refused is told with its cause, each reason once a minute", async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const writes = writesOn(0, clock, "57014", told);
  for (let each = 0; each < 2; each += 1) await assert.rejects(writes.run(nothing, { repeatable: true }), WriteNotDone);
  const crowded = writesOn(256, clock, "57014", told);
  await assert.rejects(crowded.run(nothing, { repeatable: true }), isFull);
  assert.deepEqual(told, [
    "writes are refused, the database has not done them in time: gone",
    "writes are refused, more wait already than are kept, or were repeated",
  ]);
});

test("256 writes wait eight seconds for a primary, what comes on top is refused at once, and what waited is not done", async () => {
  const clock = new ManualClock();
  const writes = writesOn(0, clock);
  const ends = new Map<string, number>();
  const ended = async (error: unknown): Promise<void> => {
    const reason = error instanceof WriteNotDone ? error.reason : String(error);
    ends.set(reason, (ends.get(reason) ?? 0) + 1);
  };
  const all = Array.from({ length: 260 }, () => writes.run(nothing, { repeatable: true }).catch(ended));
  // All have come to their wait.
  await clock.advance(0);
  await clock.advance(7_999);
  assert.deepEqual([writes.waiting, Object.fromEntries(ends)], [256, { full: 4 }]);
  await clock.advance(1);
  await Promise.all(all);
  assert.deepEqual([writes.waiting, Object.fromEntries(ends)], [0, { full: 4, late: 256 }]);
  assert.deepEqual(writes.held, { total: 256, shed: 4, late: 256 });
});

test("who waits for a connection counts as one that waits", async () => {
  await assert.rejects(writesOn(256).run(nothing, { repeatable: true }), isFull);
});

test("a server without room is not waited for and is not our mistake, and its operator is told once a minute", async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const writes = writesOn(0, clock, "53100", told);
  const refused = async () =>
    await assert.rejects(
      writes.run(nothing, { repeatable: true }),
      (error) => error instanceof WriteNotDone && error.reason === "no-room",
    );
  await refused();
  await refused();
  assert.equal(told.length, 1);
  await clock.advance(60_000);
  await refused();
  assert.equal(told.length, 2);
});

test("what conflicts, or is lost, again and again is repeated as far as the budget goes and no further", async () => {
  for (const code of ["40001", "57P01"]) {
    const clock = new ManualClock();
    let tries = 0;
    const writes = new Writes({
      clock,
      random: (bytes) => Buffer.alloc(bytes),
      budget: new RetryBudget(clock),
      way: {
        load: { lent: 0, waiting: 0, untilPrimary: 0 },
        lend: () => {
          tries += 1;
          return Promise.reject(Object.assign(new Error("no"), { code }));
        },
        // A primary is seen, and answers nothing else.
        untilPrimary: () => Promise.resolve(true),
      },
    });
    let left = 40;
    const all = Array.from({ length: 40 }, () =>
      assert.rejects(writes.run(nothing, { repeatable: true }), isFull).finally(() => (left -= 1)),
    );
    while (left > 0) await clock.advance(0);
    await Promise.all(all);
    // 20 and a fifth of the calls; what waited for a primary is tried once more besides.
    const free = code === "57P01" ? 40 : 0;
    assert.equal(tries, 40 + free + 28, code);
  }
});
