import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { Lease, NO_EPOCH } from "../lease.ts";
import { LeaseShelf } from "../memory/memory-lease.ts";
import { faultyLeaseStore, type LeaseFault } from "./faulty-lease.ts";

const TERM_MS = 3_000;
const CLAIM = { holder: "a", floor: NO_EPOCH };

test("who gets no answer to a claim is no holder, and the next epoch is another one", async () => {
  const clock = new ManualClock();
  const shelf = new LeaseShelf(clock, TERM_MS);
  for (const kind of ["unheard", "unanswered"] as const) {
    const faulty = faultyLeaseStore(shelf.store(), () => ({ kind }));
    await assert.rejects(Lease.claim({ clock, store: faulty }, CLAIM, {}), isStoreFailed);
  }
  // The unanswered one was granted to nobody's knowledge, and keeps others out for its term.
  assert.equal((await Lease.claim({ clock, store: shelf.store() }, CLAIM, {})).kind, "held");
  await clock.advance(TERM_MS);
  const answer = await Lease.claim({ clock, store: shelf.store() }, CLAIM, {});
  assert.ok(answer.kind === "holder" && answer.lease.epoch === 2);
});

test("a holder whose renewals fail, are not answered or arrive late is none from its deadline on", async () => {
  for (const fault of ["unheard", "unanswered", "late"] as const) {
    const clock = new ManualClock();
    const shelf = new LeaseShelf(clock, TERM_MS);
    let broken = false;
    const wait = (): Promise<void> => clock.sleep(TERM_MS * 2, {});
    const faultOf = (): LeaseFault | undefined =>
      broken ? (fault === "late" ? { kind: fault, wait } : { kind: fault }) : undefined;
    const answer = await Lease.claim({ clock, store: faultyLeaseStore(shelf.store(), faultOf) }, CLAIM, {});
    assert.ok(answer.kind === "holder");
    const stopping = new AbortController();
    const kept = answer.lease.keep({ signal: stopping.signal });
    broken = true;
    await clock.advance(TERM_MS);
    assert.ok(!answer.lease.holds(), fault);
    // Renewals that are heard and not answered keep others out for longer; nobody acts meanwhile.
    stopping.abort();
    await clock.advance(TERM_MS * 3);
    await kept;
    assert.equal((await Lease.claim({ clock, store: shelf.store() }, CLAIM, {})).kind, "holder", fault);
    assert.ok(!answer.lease.holds(), fault);
  }
});

test("a renewal that was long on its way counts from when it was asked for", async () => {
  const clock = new ManualClock();
  const shelf = new LeaseShelf(clock, TERM_MS);
  const late: LeaseFault = { kind: "late", wait: () => clock.sleep(1_000, {}) };
  const store = faultyLeaseStore(shelf.store(), (call) => (call === "renew" ? late : undefined));
  const answer = await Lease.claim({ clock, store }, CLAIM, {});
  assert.ok(answer.kind === "holder");
  const asked = clock.monotonic();
  const renewed = answer.lease.renew({});
  await clock.advance(1_000);
  await renewed;
  assert.ok(answer.lease.deadline < asked + TERM_MS);
  assert.ok(answer.lease.holds());
});

test("who cannot say that it leaves acts no more all the same", async () => {
  const clock = new ManualClock();
  const store = faultyLeaseStore(new LeaseShelf(clock, TERM_MS).store(), (call) =>
    call === "end" ? { kind: "unheard" } : undefined,
  );
  const answer = await Lease.claim({ clock, store }, CLAIM, {});
  assert.ok(answer.kind === "holder");
  await answer.lease.end();
  assert.ok(!answer.lease.holds());
});

function isStoreFailed(error: unknown): boolean {
  return isLifeboatError(error, "lease.store-failed");
}
