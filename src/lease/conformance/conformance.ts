/**
 * What every lease store promises, as one suite of tests.
 *
 * Call `testLeaseConformance` from the test file of a lease store: it registers its cases with node:test. A store that passes
 * may say who acts on the primary role.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import type { Clock } from "../../platform/clock.ts";
import { type Epoch, Lease, type LeaseStore } from "../lease.ts";

/** One who asks the lease store under test, with a connection and a clock of its own. */
export type Claimant = {
  readonly store: LeaseStore;
  readonly clock: Clock;
  /** It is gone without a word, as if its machine were. */
  crash(): void;
};

/** A lease store for one case, and what gives its resources back. */
export type LeasesUnderTest = {
  claimant(): Claimant;
  /** Returns when so much time has gone by for everybody. */
  pass(durationMs: number): Promise<void>;
  /** How long after a crash others are let in: at once, or when the crashed one's term is over. */
  readonly takeover: "at-once" | "after-term";
  /** Whether a holder that does not renew loses its term to the next claim. The one of a kernel lock keeps it. */
  readonly expires: boolean;
  /** The store ends and comes back with what it had on its disk. */
  restart(): Promise<void>;
  close(): Promise<void>;
};

type Case = readonly [sentence: string, run: (leases: LeasesUnderTest) => Promise<void>];

/** Registers the suite; `open` is called once for each case. `rounds`: how long the random schedules are. */
export function testLeaseConformance(
  name: string,
  open: () => Promise<LeasesUnderTest>,
  { rounds }: { readonly rounds: number },
): void {
  for (const [sentence, run] of [...CASES, randomSchedule(rounds)]) {
    test(`${name}: ${sentence}`, async () => {
      const leases = await open();
      try {
        await run(leases);
      } finally {
        await leases.close();
      }
    });
  }
}

const CASES: readonly Case[] = [
  [
    "every epoch is greater than all before it and than the floor of its claim",
    async (leases) => {
      const epochs: number[] = [];
      for (const floor of [0, 0, 10, 3, 11]) {
        const lease = await holder(leases.claimant(), { floor });
        epochs.push(lease.epoch);
        await lease.end();
      }
      assert.deepEqual(epochs, [1, 2, 11, 12, 13]);
    },
  ],
  [
    "while one holds, another is told who does, and gets nothing",
    async (leases) => {
      const lease = await holder(leases.claimant(), { name: "the first" });
      for (let round = 0; round < 3; round += 1) {
        const answer = await claim(leases.claimant(), {});
        assert.ok(answer.kind === "held");
        assert.deepEqual(answer.by, { holder: "the first", epoch: lease.epoch });
        await lease.renew({});
        lease.check();
      }
    },
  ],
  [
    "who gives it up lets the next one in at once, and acts no more itself",
    async (leases) => {
      const first = await holder(leases.claimant(), {});
      await first.end();
      await first.end();
      assertLost(first);
      const second = await holder(leases.claimant(), {});
      assert.ok(second.epoch > first.epoch);
      second.check();
      // What the one that left does later concerns nobody.
      await first.renew({});
      await first.end();
      await second.renew({});
      second.check();
      assertLost(first);
    },
  ],
  [
    "of several that claim at once exactly one holds",
    async (leases) => {
      let last = 0;
      for (let round = 0; round < 5; round += 1) {
        const answers = await Promise.all([1, 2, 3, 4].map(async () => await claim(leases.claimant(), {})));
        const leasesHeld = answers.flatMap((answer) => (answer.kind === "holder" ? [answer.lease] : []));
        assert.equal(leasesHeld.length, 1);
        assert.ok((leasesHeld[0]?.epoch ?? 0) > last);
        last = leasesHeld[0]?.epoch ?? 0;
        await leasesHeld[0]?.end();
      }
    },
  ],
  [
    "after a crash another is let in, and not before the crashed one's deadline",
    async (leases) => {
      const crashed = leases.claimant();
      const first = await holder(crashed, {});
      crashed.crash();
      const second = await eventuallyHolder(leases, (answer) => {
        // It may itself not have noticed that it is dead.
        if (answer.kind === "held" || leases.takeover === "at-once") return;
        assertLost(first);
      });
      assert.ok(second.epoch > first.epoch);
    },
  ],
  [
    "a holder that was halted past its deadline does nothing before it has asked",
    async (leases) => {
      const first = await holder(leases.claimant(), {});
      await leases.pass(first.durationMs * 1.2);
      assertLost(first);
      if (!leases.expires) {
        await first.ensure(0, {});
        first.check();
        return;
      }
      const second = await eventuallyHolder(leases, () => undefined);
      await assert.rejects(first.ensure(0, {}), (error) => isLifeboatError(error, "lease.lost"));
      assert.ok(first.isLost);
      second.check();
    },
  ],
  [
    "renewals carry a holder past any number of terms, and an act must fit into what is left",
    async (leases) => {
      const lease = await holder(leases.claimant(), {});
      for (let round = 0; round < 4; round += 1) {
        await leases.pass(lease.durationMs * 0.4);
        await lease.renew({});
        lease.check();
        assert.equal((await claim(leases.claimant(), {})).kind, "held");
      }
      assert.ok(!lease.holds(lease.durationMs));
      assert.throws(
        () => lease.check(lease.durationMs),
        (error) => isLifeboatError(error, "lease.lost"),
      );
    },
  ],
  [
    "a restart of the store lets in nobody beside a holder, and grants no epoch twice",
    async (leases) => {
      const first = await holder(leases.claimant(), {});
      await leases.restart();
      const answer = await claim(leases.claimant(), {});
      await first.renew({});
      if (answer.kind === "holder") {
        assertLost(first);
        assert.ok(answer.lease.epoch > first.epoch);
        await answer.lease.end();
      } else first.check();
      await first.end();
      await leases.restart();
      const later = await eventuallyHolder(leases, () => undefined);
      assert.ok(later.epoch > first.epoch);
    },
  ],
];

/** Claims, renewals, crashes and pauses in a random order: at no moment two may act, and epochs only grow. */
function randomSchedule(rounds: number): Case {
  return [
    "in a random order of claims, renewals, ends, crashes and pauses at no moment two may act",
    async (leases) => {
      let seed = 20_261_126;
      const random = (below: number): number => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed % below;
      };
      let held: readonly { readonly claimant: Claimant; readonly lease: Lease }[] = [];
      let last = 0;
      let granted = 0;
      for (let round = 0; round < rounds; round += 1) {
        const some = held[random(Math.max(held.length, 1))];
        const act = random(12);
        if (act < 4) {
          const claimant = leases.claimant();
          const answer = await claim(claimant, {});
          if (answer.kind === "holder") {
            assert.ok(answer.lease.epoch > last, `epoch ${answer.lease.epoch} after ${last}`);
            last = answer.lease.epoch;
            granted += 1;
            held = [...held, { claimant, lease: answer.lease }];
          }
        } else if (act < 8) await some?.lease.renew({});
        else if (act === 8) await some?.lease.end();
        else if (act === 9) {
          some?.claimant.crash();
          // A lock ends with its process, and only then: that one acts no more. Elsewhere it may merely be cut off.
          if (leases.takeover === "at-once") held = held.filter((each) => each !== some);
        } else await leases.pass((some?.lease.durationMs ?? 1) * (random(9) / 10));
        const may = held.filter(({ lease }) => lease.holds());
        assert.ok(may.length <= 1, `two may act: ${may.map(({ lease }) => lease.epoch).join()}`);
      }
      assert.ok(granted > 1, `only ${granted} epochs were granted in ${rounds} rounds`);
    },
  ];
}

async function claim(claimant: Claimant, { name = "somebody", floor = 0 }: ClaimChoice) {
  return await Lease.claim(claimant, { holder: name, floor: floor as Epoch }, {});
}

type ClaimChoice = { readonly name?: string; readonly floor?: number };

async function holder(claimant: Claimant, choice: ClaimChoice): Promise<Lease> {
  const answer = await claim(claimant, choice);
  assert.ok(answer.kind === "holder", "nobody else holds it");
  return answer.lease;
}

/** Claims until it is granted, and shows every answer. */
async function eventuallyHolder(
  leases: LeasesUnderTest,
  seen: (answer: Awaited<ReturnType<typeof claim>>) => void,
): Promise<Lease> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const answer = await claim(leases.claimant(), {});
    seen(answer);
    if (answer.kind === "holder") return answer.lease;
    await leases.pass(100);
  }
  throw new Error("nobody was let in");
}

function assertLost(lease: Lease): void {
  assert.throws(
    () => lease.check(),
    (error) => isLifeboatError(error, "lease.lost"),
  );
}
