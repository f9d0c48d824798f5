import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { type LeasesUnderTest, testLeaseConformance } from "../conformance/conformance.ts";
import { type Epoch, Lease, type LeaseAnswer, NO_EPOCH } from "../lease.ts";
import { LeaseShelf } from "./memory-lease.ts";

const TERM_MS = 3_000;

async function openMemory(): Promise<LeasesUnderTest> {
  const clock = new ManualClock();
  const shelf = new LeaseShelf(clock, TERM_MS);
  return {
    claimant: () => ({ store: shelf.store(), clock, crash: () => undefined }),
    pass: (durationMs) => clock.advance(durationMs),
    takeover: "after-term",
    expires: true,
    restart: async () => undefined,
    close: async () => undefined,
  };
}

testLeaseConformance("leases in memory", openMemory, { rounds: 5_000 });

test("a lease is kept by renewals until its keeper is told to stop", async () => {
  const clock = new ManualClock();
  const lease = held(await Lease.claim({ clock, store: new LeaseShelf(clock, TERM_MS).store() }, CLAIM, {}));
  const stopping = new AbortController();
  const kept = lease.keep({ signal: stopping.signal });
  for (let step = 0; step < 100; step += 1) {
    await clock.advance(100);
    lease.check(TERM_MS / 2);
  }
  stopping.abort();
  await kept;
  await clock.advance(TERM_MS);
  assert.ok(!lease.holds());
});

test("a machine that slept finds out by its wall clock, since its monotonic clock slept too", async () => {
  const clock = new ManualClock();
  const shelf = new LeaseShelf(clock, TERM_MS);
  const lease = held(await Lease.claim({ clock, store: shelf.store() }, CLAIM, {}));
  clock.setWall(TERM_MS);
  assert.ok(!lease.holds());
  // It was only set: one renewal tells.
  await lease.ensure(0, {});
  assert.ok(lease.holds());
  clock.setWall(-10 * TERM_MS);
  assert.ok(lease.holds());
  await clock.advance(TERM_MS * 0.96);
  assert.ok(!lease.holds());
});

test("a holder whose clock runs slower than the store's by a fiftieth stops before anybody is let in", async () => {
  const clock = new ManualClock();
  const slow = { ...bound(clock), monotonic: () => (clock.monotonic() * 0.98) as ReturnType<ManualClock["monotonic"]> };
  const shelf = new LeaseShelf(clock, TERM_MS);
  const lease = held(await Lease.claim({ clock: slow, store: shelf.store() }, CLAIM, {}));
  await clock.advance(TERM_MS - 1);
  assert.equal((await Lease.claim({ clock, store: shelf.store() }, CLAIM, {})).kind, "held");
  assert.ok(!lease.holds());
});

test("a store that was set back grants no epoch again that a claimant has seen", async () => {
  const clock = new ManualClock();
  const shelf = new LeaseShelf(clock, TERM_MS);
  const first = held(await Lease.claim({ clock, store: shelf.store() }, CLAIM, {}));
  shelf.forget();
  const second = await Lease.claim({ clock, store: shelf.store() }, { holder: "b", floor: first.epoch }, {});
  assert.equal(held(second).epoch, first.epoch + 1);
  await assert.rejects(
    first.renew({}).then(() => first.check()),
    (error) => isLifeboatError(error, "lease.lost"),
  );
});

test("claiming stops on request", async () => {
  const clock = new ManualClock();
  const claiming = Lease.claim({ clock, store: new LeaseShelf(clock, TERM_MS).store() }, CLAIM, {
    signal: AbortSignal.abort(),
  });
  await assert.rejects(claiming, (error) => isLifeboatError(error, "platform.aborted"));
});

const CLAIM = { holder: "a", floor: NO_EPOCH };

function held(answer: LeaseAnswer): Lease {
  assert.ok(answer.kind === "holder");
  const epoch: Epoch = answer.lease.epoch;
  assert.ok(epoch > 0);
  return answer.lease;
}

function bound(clock: ManualClock) {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (durationMs: number, options: { readonly signal?: AbortSignal | undefined }) =>
      clock.sleep(durationMs, options),
  };
}
