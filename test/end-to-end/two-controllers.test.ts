/**
 * Two controllers of one stack of real programs, as on two machines, with etcd between them: one sleeps past its lease or is cut off, the
 * other one takes over, and nothing that the first one then sends is done. Each takes as long as a lease, and more: all of this belongs to
 * the long run. In the usual run the simulation has it, src/lease/etcd/ the lease, and each party's own test the orders that come late.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { planFailover } from "../../src/failover/plan.ts";
import { readJournal } from "../../src/journal/read.ts";
import { formatInstant, type Instant, systemClock } from "../../src/platform/clock.ts";
import { Chance } from "../simulation/chance.ts";
import { repetitions, testSeed } from "../support/effort.ts";
import type { DaemonEnd } from "../support/mortal-daemon-process.ts";
import { forAWhile } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";
import { TTL_S, TwoControllers } from "../support/two-controllers.ts";

const chance = new Chance(testSeed());

/** Whoever woke, or is connected again, has sent by then what it was about to send. */
const AWAKE_MS = 2_000;

/** Of the first of two controllers. */
function journalOf({ controller }: { readonly controller: string }): string {
  return path.join(controller, "journal", "journal.log");
}

/** Where a controller sleeps before it looks whether it may still act, which is the last thing that it does then. */
const SLEEPS_BEFORE = ["withdraw-witness", "stop-receiving", "note-promotion", "promote", "note-primary"];

/**
 * And behind that look, with an order on its tongue that then comes under an epoch that is over: each kind that a failover sends, to whom it
 * goes. A pause is in src/failover/late-pause.test.ts.
 */
const LATE_ORDERS: readonly { readonly step: string; readonly order: string; readonly to: string }[] = [
  { step: "note-action", order: "write", to: "the record" },
  { step: "stop-receiving", order: "stopReceiving", to: "the candidate" },
  { step: "prepare-candidate", order: "makeSlots", to: "the candidate" },
  { step: "prepare-candidate", order: "setSynchronousNames", to: "the candidate" },
  { step: "withdraw-witness", order: "withdraw", to: "the receiver" },
  { step: "fill-gap", order: "fillGap", to: "the receiver" },
  { step: "note-promotion", order: "write", to: "the record" },
  { step: "promote", order: "promote", to: "the candidate" },
  { step: "repoint-poolers", order: "repoint", to: "the pooler" },
  { step: "note-primary", order: "write", to: "the record" },
  { step: "witness-follows", order: "follow", to: "the receiver" },
  { step: "witness-follows", order: "grant", to: "the receiver" },
  { step: "resume-poolers", order: "resume", to: "the pooler" },
  { step: "drop-dead", order: "dropDead", to: "the pooler" },
];

/** An old primary that is a replica by now would be stopped by it. */
const LATE_FENCE = { step: "fence", order: "fence", to: "its machine" };

/** They look, or send what goes past no epoch: a login, a write of a client. What hurries a replay is sent only where there is some. */
const ORDERLESS = ["see-receivers-gone", "await-replay", "see-promoted", "prove-writes"];
/** In a test of its own. */
const LATE_PAUSE = "pause-poolers";

test("each step of a failover that orders something has its late orders tried", () => {
  const terms = { consultWitness: true, overHole: false, outwaitGrant: false, confirmedStop: false, holdBack: false };
  const { stages } = planFailover({ from: "db", to: "db_replica", terms: { ...terms, others: [] } });
  const tried = [...LATE_ORDERS, LATE_FENCE].map(({ step }) => step);
  assert.deepEqual(
    new Set([...tried, ...ORDERLESS, LATE_PAUSE]),
    new Set(stages.flat().map(({ kind }): string => kind)),
  );
});

describe("two controllers, as on two machines,", () => {
  if (repetitions(0, 1) === 0) return;
  let two: TwoControllers;

  before(async () => {
    two = await TwoControllers.up();
  });

  after(() => two.end());

  /** Has the first one sleep past its lease in a failover, and wake: what its journal has of the step, and of what came after it. */
  async function sleepPast(end: Omit<DaemonEnd, "how">) {
    await two.begin();
    const { old, next, timeline } = await two.roles(two.watched);
    const { place } = await two.one.stack();
    await two.watched.underWrites(`asleep-${end.at}-${end.step}-${end.order ?? ""}`, async () => {
      const sleeper = await two.one.pidOf("daemon");
      await writeFile(two.script, JSON.stringify({ ...end, how: "stall" } satisfies DaemonEnd));
      await two.one.crash(old);
      await eventually("the one that acts sleeps", async () => !existsSync(two.script));
      // The old primary is made a replica by the other, once the lease is over: nobody acts before.
      await forAWhile(TTL_S * 1_000);
      const taken = await two.roles(two.watched);
      assert.deepEqual([taken.old, taken.timeline], [next, timeline + 1]);
      const replica = await two.one.pidOf(old);
      process.kill(sleeper, "SIGCONT");
      await forAWhile(AWAKE_MS);
      assert.equal(await two.one.pidOf("daemon"), sleeper, "it was halted, not ended");
      // One that was stopped late would be made to follow again by now.
      assert.equal(await two.one.pidOf(old), replica, "nobody stopped what is a replica by now");
      assert.deepEqual(await two.roles(two.watched), taken);
      assert.deepEqual(await two.roles(two.first), taken);
    });
    const records = (await readJournal(PORTS.files, journalOf(place)))?.records ?? [];
    const begun = records.findLastIndex(({ kind, name, facts }) => {
      return kind === "intent" && name === "failover" && facts["to"] === next;
    });
    const own = records.slice(begun).filter(({ epoch }) => epoch === records[begun]?.epoch);
    const outcome = own.find(({ kind, name }) => kind === "outcome" && name === end.step);
    const stages = records[begun]?.facts["steps"] as readonly (readonly string[])[];
    // What the candidate is prepared for is waited for by the record's note of the promotion, and the stages until then go on beside it.
    const awaitedBy = stages.findIndex((stage) => stage.includes("note-promotion"));
    const nextStage = stages.findIndex((stage) => stage.includes(end.step)) + 1;
    const later = stages.slice(end.step === "prepare-candidate" ? awaitedBy : nextStage).flat();
    const begunLater = own.filter(({ kind, name }) => kind === "intent" && later.includes(name));
    return { code: outcome?.facts["code"], begunLater };
  }

  test("a controller that sleeps past its lease before a step is followed by another, and begins nothing when it wakes", async () => {
    const step = chance.pick(SLEEPS_BEFORE);
    const { code, begunLater } = await sleepPast({ step, at: "intent" });
    assert.deepEqual([step, code, begunLater], [step, "failover.lease-lost", []]);
  });

  for (const { step, order, to } of [chance.pick(LATE_ORDERS), LATE_FENCE]) {
    test(`an order that comes when its epoch is over is refused by ${to}: ${order} of ${step}`, async () => {
      const { code, begunLater } = await sleepPast({ step, at: "order", order });
      // Nobody waits for a fence where the quorum proves what it would, and its time was over when the answer came.
      if (order === LATE_FENCE.order) assert.equal(code, undefined);
      else assert.deepEqual([code, begunLater], ["failover.stale-epoch", []]);
    });
  }

  test("a controller that is cut off from etcd does nothing for a primary that is killed then; the other one does, once the lease is over", async () => {
    await two.begin();
    const { old, next, timeline } = await two.roles(two.watched);
    const { place } = await two.one.stack();
    await two.watched.underWrites("cut-off", async () => {
      two.relay.cut();
      const cutAt = systemClock.now();
      await two.one.crash(old);
      await eventually("the other has taken over", async () => (await two.watched.look())?.primary === next);
      const before = await two.roles(two.watched);
      assert.deepEqual([before.old, before.timeline], [next, timeline + 1]);
      // As long as its lease lasts it has clients wait, and cannot note what it would do: so it does nothing else, and then nothing at all.
      const { records = [] } = (await readJournal(PORTS.files, journalOf(place))) ?? {};
      const begun = records.filter((each) => each.kind === "intent" && each.at > formatInstant(cutAt));
      assert.equal(
        new Set(begun.map((each) => each.epoch)).size,
        1,
        "it saw that the primary was gone, under its one epoch",
      );
      assert.deepEqual(
        begun.filter(({ name }) => !["mend", "pause-poolers", "failover", "note-action"].includes(name)),
        [],
      );
      const over = formatInstant((cutAt + TTL_S * 1_000) as Instant);
      assert.deepEqual(
        begun.filter(({ at }) => at > over),
        [],
      );
      two.relay.heal();
      assert.deepEqual(await two.roles(two.first), before);
      await forAWhile(AWAKE_MS);
      assert.deepEqual(await two.roles(two.watched), before);
    });
  });
});
