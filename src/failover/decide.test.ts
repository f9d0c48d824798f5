import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  confirmer,
  lasting,
  observe,
  POLICY,
  primaryAnswer,
  RECORD,
  type SeenRound,
  standbyAnswer,
  witnessAnswer,
} from "../../test/support/failover-views.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { type Decision, decideFailover, type FailoverPolicy, synchronousNamesOf } from "./decide.ts";
import type { ClusterRecord, Epoch, NodeProbe } from "./ports.ts";
import type { ReasonCode } from "./reasons.ts";

const GONE: NodeProbe = { kind: "nobody-listens" };
const SILENT: NodeProbe = { kind: "silent" };
const lsn = (bytes: number): Lsn => BigInt(bytes) as Lsn;

function decide(
  rounds: readonly SeenRound[],
  record: Partial<ClusterRecord> = {},
  policy: Partial<FailoverPolicy> = {},
): Decision {
  return decideFailover(observe(rounds, record), { ...POLICY, ...policy });
}

function codes(decision: Decision): readonly ReasonCode[] {
  if (decision.kind === "healthy") return decision.concerns.map(({ code }) => code);
  const against = decision.kind === "promotable" ? decision.against : [];
  return [...decision.reasons, ...against].map(({ code }) => code);
}

type Case = {
  readonly name: string;
  readonly rounds: readonly SeenRound[];
  readonly record?: Partial<ClusterRecord>;
  readonly policy?: Partial<FailoverPolicy>;
  readonly is: Decision["kind"];
  /** Reasons that must be among those given. */
  readonly because?: readonly ReasonCode[];
};

const failed = (sqlstate: string): NodeProbe => primaryAnswer({ write: { kind: "failed", sqlstate } });
const error = (sqlstate: string): NodeProbe => ({ kind: "error", sqlstate });

/** It crashes every ten seconds, is seen recovering twice, and works in between; the last time it recovers still. */
function crashes(count: number): readonly SeenRound[] {
  const down = (atMs: number): SeenRound[] => [100, 200].map((later) => ({ atMs: atMs + later, a: error("57P03") }));
  return Array.from({ length: count }, (_, index) => [{ atMs: index * 10_000 }, ...down(index * 10_000)]).flat();
}

const LESS = { kind: "parameters-too-small", lacks: "max_connections 100 of 300" } as const;

const ALIVE: readonly Case[] = [
  { name: "everything well is healthy", rounds: [{ atMs: 0 }], is: "healthy", because: [] },
  {
    name: "the replica is away and the vault confirms: healthy, with a concern",
    rounds: [{ atMs: 0, a: primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e7")] }) }],
    is: "healthy",
    because: ["replica-not-connected"],
  },
  {
    name: "a replica that answers with an error is a concern, with its SQLSTATE",
    rounds: [{ atMs: 0, b: error("28P01") }],
    is: "healthy",
    because: ["candidate-error"],
  },
  {
    name: "what stands in the way of a promotion is a concern while all is well",
    rounds: [
      {
        atMs: 0,
        a: primaryAnswer({}, { hindrances: [{ kind: "no-alter-system" }] }),
        b: standbyAnswer(
          {},
          { hindrances: [LESS, { kind: "replay-delayed", delay: "1h" }, { kind: "replay-paused" }] },
        ),
      },
    ],
    is: "healthy",
    because: ["no-alter-system", "parameters-too-small", "replay-delayed", "replay-paused"],
  },
  {
    name: "an emptied synchronous_standby_names is a concern that is named (I18)",
    rounds: [{ atMs: 0, a: primaryAnswer({}, { synchronousNames: "" }) }],
    is: "healthy",
    because: ["other-durability"],
  },
  {
    name: "primary and both confirmers lost each other, all three answer: lost quorum, no failover (I19)",
    rounds: lasting({ a: primaryAnswer({ confirmers: [] }) }, 60_000),
    is: "lost-quorum",
    because: ["confirmers-missing"],
  },
  {
    name: "a confirmer of an old epoch does not count (rule B4)",
    rounds: [{ atMs: 0, a: primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e6")] }) }],
    is: "lost-quorum",
  },
  {
    name: "strict needs both confirmers",
    rounds: [{ atMs: 0, a: primaryAnswer({ confirmers: [confirmer("b")] }) }],
    record: { durability: "strict" },
    is: "lost-quorum",
  },
  {
    name: "a standby that is connected and has confirmed nothing does not count",
    rounds: [{ atMs: 0, a: primaryAnswer({ confirmers: [confirmer("b", 0)] }) }],
    is: "lost-quorum",
  },
  {
    name: "two connections under the replica's name are named (I17)",
    rounds: [{ atMs: 0, a: primaryAnswer({ confirmers: [confirmer("b"), confirmer("b")] }) }],
    is: "healthy",
    because: ["name-used-twice"],
  },
  {
    name: "a primary that does as its record says, and was seen to do less before: a concern",
    rounds: [{ atMs: 0 }],
    record: { waitsFor: 0 },
    is: "healthy",
    because: ["waited-for-fewer"],
  },
  {
    name: "a server whose commits wait for no confirmer's sync: a concern",
    rounds: [{ atMs: 0, a: primaryAnswer({ synchronousCommit: "remote_write" }) }],
    is: "healthy",
    because: ["commits-not-synced"],
  },
  {
    name: "the same in async is what was chosen",
    rounds: [{ atMs: 0, a: primaryAnswer({ synchronousCommit: "local" }, { synchronousNames: "" }) }],
    record: { durability: "async" },
    is: "healthy",
    because: [],
  },
  {
    name: "two connections under the vault's name are named (I17)",
    rounds: [
      {
        atMs: 0,
        a: primaryAnswer({
          confirmers: ["b", "lifeboat_vault_e7", "LIFEBOAT_VAULT_E7"].map((name) => confirmer(name)),
        }),
      },
    ],
    is: "healthy",
    because: ["name-used-twice"],
  },
  { name: "53300, too many connections, is alive", rounds: lasting({ a: error("53300") }, 60_000), is: "hold" },
  { name: "28P01, a wrong password, is alive", rounds: lasting({ a: error("28P01") }, 60_000), is: "hold" },
  {
    name: "53100, a full disk, holds by default and says so (I11)",
    rounds: lasting({ a: failed("53100") }, 60_000),
    is: "hold",
    because: ["write-failed"],
  },
  {
    name: "a full disk moves the role where the policy says so",
    rounds: lasting({ a: failed("53100") }, 60_000),
    policy: { diskFull: "failover" },
    is: "promotable",
  },
  {
    name: "another failed write than a full disk never moves the role",
    rounds: lasting({ a: failed("25006") }, 60_000),
    policy: { diskFull: "failover" },
    is: "hold",
  },
  {
    name: "the recorded primary is a standby: a person must look",
    rounds: [{ atMs: 0, a: standbyAnswer() }],
    is: "hold",
    because: ["primary-in-recovery"],
  },
  {
    name: "another cluster answers under the primary's name",
    rounds: [{ atMs: 0, a: primaryAnswer({}, { systemId: "2" as SystemId }) }],
    is: "hold",
    because: ["foreign-system"],
  },
  {
    name: "the primary is on a timeline that the record does not know",
    rounds: [{ atMs: 0, a: primaryAnswer({}, { timeline: 4 as Timeline }) }],
    is: "hold",
    because: ["foreign-timeline"],
  },
];

const streaming = (receivedAgoMs: number): NodeProbe =>
  standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs } });
const following = (receivedAgoMs: number) =>
  witnessAnswer({
    mode: { kind: "following", upstream: "a", reign: 7 as Epoch, streaming: true },
    receivedAgoMs,
  });

const DOUBT: readonly Case[] = [
  { name: "one refused probe is a suspicion", rounds: lasting({ a: GONE }), is: "suspect" },
  { name: "a silence of 2 s is a suspicion", rounds: lasting({ a: SILENT }, 1_000, 2_000), is: "suspect" },
  {
    name: "nobody listens in two rounds: gone",
    rounds: lasting({ a: GONE }, 200),
    is: "promotable",
    because: ["nobody-listens"],
  },
  { name: "silent for 3 s: gone", rounds: lasting({ a: SILENT }, 1_500, 3_000), is: "promotable" },
  {
    name: "a frozen primary whose replica still says streaming: gone when nothing was received since (I10)",
    rounds: lasting({ a: SILENT, b: streaming(4_000) }, 1_500, 3_000),
    is: "promotable",
  },
  {
    name: "the replica has received since the suspicion: views disagree, hold (I25)",
    rounds: lasting({ a: SILENT, b: streaming(500) }, 1_500, 3_000),
    is: "hold",
    because: ["still-heard"],
  },
  {
    name: "received just after the first look that failed, and never again: gone, for that look went out before the freeze",
    rounds: lasting({ a: SILENT, b: streaming(2_500), witness: following(2_400) }, 1_500, 3_000),
    is: "promotable",
  },
  {
    name: "the vault has received since the suspicion: views disagree, hold",
    rounds: lasting({ a: SILENT, witness: following(100) }, 1_500, 3_000),
    is: "hold",
    because: ["still-heard"],
  },
  {
    name: "a vault that still hears an earlier primary proves nothing of this one",
    rounds: lasting(
      {
        a: SILENT,
        witness: witnessAnswer({
          mode: { kind: "following", upstream: "b", reign: 6 as Epoch, streaming: true },
          receivedAgoMs: 100,
        }),
      },
      1_500,
      3_000,
    ),
    is: "promotable",
  },
  {
    name: "one that crashed twice in a minute is given the same time",
    rounds: crashes(2),
    is: "suspect",
    because: ["starting"],
  },
  {
    name: "of crashes long ago none counts",
    rounds: [...crashes(2), { atMs: 70_000 }, { atMs: 70_100, a: error("57P03") }],
    is: "suspect",
    because: ["starting"],
  },
  {
    name: "a crash restart (57P03) is given its time",
    rounds: lasting({ a: error("57P03") }, 5_000, 9_000),
    is: "suspect",
    because: ["starting"],
  },
  {
    name: "a crash restart that takes too long: gone",
    rounds: lasting({ a: error("57P03") }, 10_000),
    is: "promotable",
  },
  {
    name: "one that works again each time, and is seen recovering three times in a minute: gone",
    rounds: crashes(3),
    is: "promotable",
    because: ["starting"],
  },
  {
    name: "a server that crashes again and again is not given the time again and again",
    rounds: [
      { atMs: 0, a: error("57P03") },
      { atMs: 4_000, a: SILENT },
      { atMs: 4_500, a: error("57P03") },
      { atMs: 10_000, a: error("57P03") },
    ],
    is: "promotable",
  },
  {
    name: "new sessions work and a write with its sync hangs: stuck, gone after its time (I9)",
    rounds: lasting({ a: primaryAnswer({ write: { kind: "stuck" } }), b: streaming(10) }, 2_500, 5_000),
    is: "promotable",
    because: ["stuck"],
  },
  {
    name: "a write that hangs for a moment is a suspicion",
    rounds: lasting({ a: primaryAnswer({ write: { kind: "stuck" } }) }, 2_000),
    is: "suspect",
  },
  {
    name: "nobody answers at all: it is we who are cut off",
    rounds: lasting({ a: SILENT, b: SILENT, witness: null }, 60_000),
    is: "unknown",
    because: ["nobody-answers"],
  },
  {
    name: "a primary that came back begins a new suspicion",
    rounds: [{ atMs: 0, a: SILENT }, { atMs: 2_000 }, { atMs: 3_500, a: SILENT }],
    is: "suspect",
  },
];

const CANDIDATES: readonly Case[] = [
  {
    name: "primary and replica gone, vault fine: blocked, restore offered",
    rounds: lasting({ a: GONE, b: GONE }, 200),
    is: "blocked",
    because: ["candidate-silent", "no-candidate"],
  },
  {
    name: "primary and replica silent, vault fine: nothing says that either is gone",
    rounds: lasting({ a: SILENT, b: SILENT }, 1_500, 3_000),
    is: "unknown",
    because: ["candidate-silent", "no-node-answers", "silent"],
  },
  {
    name: "primary silent, replica down, vault fine: blocked, restore offered",
    rounds: lasting({ a: SILENT, b: GONE }, 1_500, 3_000),
    is: "blocked",
    because: ["candidate-silent", "no-candidate"],
  },
  {
    name: "a replica that lets us not in is alive, and no candidate",
    rounds: lasting({ a: GONE, b: error("53300") }, 200),
    is: "blocked",
    because: ["candidate-error", "no-candidate"],
  },
  {
    name: "a replica that starts is told so",
    rounds: lasting({ a: GONE, b: error("57P03") }, 200),
    is: "blocked",
    because: ["starting", "no-candidate"],
  },
  {
    name: "a replica with less than its primary had is no candidate: it cannot be promoted",
    rounds: lasting({ a: GONE, b: standbyAnswer({}, { hindrances: [LESS] }) }, 200),
    is: "blocked",
    because: ["parameters-too-small"],
  },
  {
    name: "a replica that takes no orders is no candidate",
    rounds: lasting({ a: GONE, b: standbyAnswer({}, { hindrances: [{ kind: "no-alter-system" }] }) }, 200),
    is: "blocked",
    because: ["no-alter-system"],
  },
  {
    name: "a replica whose replay waits or is paused can take over: an order has it go on",
    rounds: lasting(
      {
        a: GONE,
        b: standbyAnswer({}, { hindrances: [{ kind: "replay-paused" }, { kind: "replay-delayed", delay: "1h" }] }),
      },
      200,
    ),
    is: "promotable",
  },
  {
    name: "primary and vault gone: a bounded loss needs a person",
    rounds: lasting({ a: GONE, witness: null }, 200),
    is: "blocked",
    because: ["loss-possible", "witness-silent"],
  },
  {
    name: "primary and vault gone in strict: the replica has every acknowledged commit",
    rounds: lasting({ a: GONE, witness: null }, 200),
    record: { durability: "strict" },
    is: "promotable",
  },
  {
    name: "async never promotes by itself",
    rounds: lasting({ a: GONE }, 200),
    record: { durability: "async" },
    is: "blocked",
    because: ["loss-possible"],
  },
  {
    name: "a replica that was never seen streaming from this primary is no candidate (I12, I14)",
    rounds: lasting({ a: GONE }, 200),
    record: { joined: [] },
    is: "blocked",
    because: ["never-joined"],
  },
  {
    name: "a node still being made is never a candidate (I13)",
    rounds: lasting({ a: GONE, b: standbyAnswer({}, { cloning: true }) }, 200),
    is: "blocked",
    because: ["cloning"],
  },
  {
    name: "a candidate on another timeline is none (I5)",
    rounds: lasting({ a: GONE, b: standbyAnswer({}, { timeline: 2 as Timeline }) }, 200),
    is: "blocked",
    because: ["foreign-timeline"],
  },
  {
    name: "a candidate whose disk is nearly full is none (I11)",
    rounds: lasting({ a: GONE, b: standbyAnswer({}, { freeBytes: 10 }) }, 200),
    is: "blocked",
    because: ["little-room"],
  },
  {
    name: "two connections confirmed under the replica's name when the primary was seen last: a loss is possible (rule B12)",
    rounds: [
      {
        atMs: 0,
        a: primaryAnswer({ confirmers: [confirmer("b", 900), confirmer("B"), confirmer("lifeboat_vault_e7")] }),
      },
      ...[200, 400].map((atMs) => ({ atMs, a: GONE })),
    ],
    is: "blocked",
    because: ["name-used-twice", "loss-possible"],
  },
  {
    name: "the record says that it was seen to wait for fewer: a loss is possible, whatever it does now (rule B13)",
    rounds: lasting({ a: GONE }, 200),
    record: { waitsFor: 0 },
    is: "blocked",
    because: ["waited-for-fewer", "loss-possible"],
  },
  ...(["local", "off", "remote_write"] as const).map((synchronousCommit) => ({
    name: `synchronous_commit was ${synchronousCommit} when the primary was seen last: a loss is possible`,
    rounds: [{ atMs: 0, a: primaryAnswer({ synchronousCommit }) }, ...[200, 400].map((atMs) => ({ atMs, a: GONE }))],
    is: "blocked" as const,
    because: ["commits-not-synced", "loss-possible"] as const,
  })),
  {
    name: "synchronous_commit was remote_apply when the primary was seen last: nothing is missing",
    rounds: [
      { atMs: 0, a: primaryAnswer({ synchronousCommit: "remote_apply" }) },
      ...[200, 400].map((atMs) => ({ atMs, a: GONE })),
    ],
    is: "promotable",
  },
  {
    name: "a second connection under its name that has confirmed nothing, as a backup's, is none",
    rounds: [
      {
        atMs: 0,
        a: primaryAnswer({ confirmers: [confirmer("b"), confirmer("b", 0), confirmer("lifeboat_vault_e7")] }),
      },
      ...[200, 400].map((atMs) => ({ atMs, a: GONE })),
    ],
    is: "promotable",
  },
  {
    name: "a hole between the candidate and the vault's WAL: a loss is possible (rule B9)",
    rounds: lasting(
      {
        a: GONE,
        witness: witnessAnswer({
          held: { timeline: RECORD.timeline, from: lsn(1_500), flushed: lsn(2_000), recordEnd: lsn(2_000) },
        }),
      },
      200,
    ),
    is: "blocked",
    because: ["witness-hole", "loss-possible"],
  },
  {
    name: "a vault that never came to this timeline has confirmed nothing on it, and counts",
    rounds: lasting(
      {
        a: GONE,
        witness: witnessAnswer({
          mode: { kind: "withdrawn", by: 6 as Epoch },
          held: { timeline: 2 as Timeline, from: lsn(0), flushed: lsn(9_000), recordEnd: lsn(9_000) },
        }),
      },
      200,
    ),
    is: "promotable",
  },
  {
    name: "maintenance: promotable, and not by itself",
    rounds: lasting({ a: GONE }, 200),
    record: { maintenance: true },
    is: "promotable",
    because: ["maintenance"],
  },
];

for (const [group, cases] of Object.entries({ "an alive primary": ALIVE, "a doubt": DOUBT, candidates: CANDIDATES })) {
  describe(group, () => {
    for (const { name, rounds, record, policy, is, because } of cases) {
      test(name, () => {
        const decision = decide(rounds, record, policy);
        assert.equal(decision.kind, is, JSON.stringify(codes(decision)));
        for (const code of because ?? []) assert.ok(codes(decision).includes(code), JSON.stringify(codes(decision)));
      });
    }
  });
}

function promotable(decision: Decision): Extract<Decision, { kind: "promotable" }> {
  assert.ok(decision.kind === "promotable", JSON.stringify(codes(decision)));
  return decision;
}

test("a replica and the vault together prove that nothing is lost, and the role moves by itself", () => {
  const decision = promotable(decide(lasting({ a: GONE }, 200)));
  assert.equal(decision.automatic, true);
  assert.deepEqual(decision.loss, { kind: "none" });
  assert.deepEqual(decision.terms, {
    consultWitness: true,
    overHole: false,
    outwaitGrant: false,
    confirmedStop: false,
    holdBack: false,
    others: [],
  });
});

test("in strict the replica alone proves it: a hole before the vault's WAL is gone over", () => {
  const held = { timeline: RECORD.timeline, from: lsn(1_500), flushed: lsn(2_000), recordEnd: lsn(2_000) };
  const rounds = lasting({ a: GONE, witness: witnessAnswer({ held }) }, 200);
  const decision = promotable(decide(rounds, { durability: "strict" }));
  assert.deepEqual(decision.loss, { kind: "none" });
  assert.deepEqual([decision.automatic, decision.terms.consultWitness, decision.terms.overHole], [true, true, true]);
});

test("the policy may leave it to a person, and maintenance does", () => {
  assert.equal(promotable(decide(lasting({ a: GONE }, 200), {}, { automatic: false })).automatic, false);
  assert.equal(promotable(decide(lasting({ a: GONE }, 200), { maintenance: true })).automatic, false);
});

test("an accepted loss moves the role when the vault's grant has run out, or after a confirmed stop (rule B5)", () => {
  const rounds = [
    { atMs: -500, a: primaryAnswer({ flushed: lsn(1_300) }) },
    ...lasting({ a: GONE, witness: null }, 200).slice(1),
  ];
  const blocked = decide(rounds);
  assert.ok(blocked.kind === "blocked");
  const loss = { kind: "possible", bytesMax: 300, seenAgoMs: 700 };
  assert.deepEqual(blocked.offers, [{ kind: "accept-loss", candidate: "b", loss }]);
  assert.equal(decide(rounds, {}, { acceptLoss: { bytesMax: 299 } }).kind, "blocked");
  const accepted = promotable(decide(rounds, {}, { acceptLoss: { bytesMax: 300 } }));
  assert.deepEqual([accepted.automatic, accepted.terms.outwaitGrant], [true, true]);
  const waits = promotable(decide(rounds, {}, { acceptLoss: { bytesMax: 300 }, grants: "lasting" }));
  assert.deepEqual([waits.terms.outwaitGrant, waits.terms.confirmedStop], [false, true]);
});

test("an async failover needs a confirmed stop even when its loss was accepted", () => {
  const policy = { acceptLoss: { bytesMax: 1_000_000 } };
  assert.equal(
    promotable(decide(lasting({ a: GONE }, 200), { durability: "async" }, policy)).terms.confirmedStop,
    true,
  );
});

test("a primary that waited for less than the record says when it answered last has no proof, whatever the record says", () => {
  const lastSeen = (synchronousNames: string): Decision =>
    decide([
      { atMs: -1_000, a: primaryAnswer({}, { synchronousNames }) },
      { atMs: 0, a: GONE },
      { atMs: 200, a: GONE },
    ]);
  for (const names of ["", "FIRST 1 (b)", "ANY 1 (elsewhere, b)", "*"]) {
    const decision = lastSeen(names);
    assert.ok(decision.kind === "blocked", `${names}: ${decision.kind}`);
    assert.equal(decision.offers[0]?.kind, "accept-loss", names);
  }
  // The names of an earlier reign are ours.
  assert.ok(promotable(lastSeen("ANY 1 (b, lifeboat_vault)")).automatic);
  assert.ok(promotable(lastSeen("ANY 1 (b, lifeboat_vault_e6)")).automatic);
});

test("primary and replica gone: the first offer is a restore from the vault", () => {
  const decision = decide(lasting({ a: GONE, b: SILENT }, 200));
  assert.ok(decision.kind === "blocked");
  assert.deepEqual(decision.offers, [{ kind: "restore-from-vault" }]);
});

test("synchronous_standby_names name every other node and the vault in its epoch", () => {
  const cluster = { primary: "a", nodes: ["a", "b", "c"], reign: 12 } as const;
  assert.equal(synchronousNamesOf({ ...cluster, durability: "quorum" }), "ANY 1 (b, c, lifeboat_vault_e12)");
  assert.equal(synchronousNamesOf({ ...cluster, durability: "strict" }), "ANY 2 (b, c, lifeboat_vault_e12)");
  assert.equal(synchronousNamesOf({ ...cluster, durability: "async" }), "");
});
