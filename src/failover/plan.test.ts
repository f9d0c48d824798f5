import assert from "node:assert/strict";
import { test } from "node:test";
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
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { decideFailover } from "./decide.ts";
import { type Plan, planNext, type Rejoined, rejoinedSince, STEP_EFFECTS, type Step } from "./plan.ts";
import type { ClusterRecord, Epoch, NodeProbe, NodeView, PoolerPort, PoolerView } from "./ports.ts";
import { decideSwitchover } from "./switchover.ts";

const GONE: NodeProbe = { kind: "nobody-listens" };
const AWAY = lasting({ a: GONE }, 500);
const ACTION: ClusterRecord["action"] = {
  kind: "failover",
  epoch: 8 as Epoch,
  from: "a",
  to: "b",
  phase: "promoting",
  target: 900n as Lsn,
};
const PREPARING: ClusterRecord["action"] = { ...ACTION, phase: "preparing", target: undefined };
const FOLLOWING = witnessAnswer({ mode: { kind: "following", upstream: "a", reign: 7 as Epoch, streaming: true } });
const STREAMING = standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1 } });
const WELL: readonly SeenRound[] = [{ atMs: 0, b: STREAMING, witness: FOLLOWING }];

function next(
  rounds: readonly SeenRound[],
  record: Partial<ClusterRecord> = {},
  pooler: Partial<PoolerView> = {},
  rejoined: ReadonlyMap<string, Rejoined> = new Map(),
): Plan | undefined {
  const seen = observe(rounds, record);
  const view: PoolerView = { epoch: 7, mode: "serving", target: "a", ...pooler };
  return planNext({
    seen,
    decision: decideFailover(seen, POLICY),
    // Plans look at views only.
    poolers: [{ pooler: { name: "pooler" } as PoolerPort, view, sentAt: 0 as Monotonic }],
    timing: { rejoinAfterMs: 1_000, catchUpMs: 2_000, rejoinAgainMs: 5_000, rejoined },
  });
}

function steps(plan: Plan | undefined): readonly Step["kind"][] {
  return plan?.stages.flat().map(({ kind }) => kind) ?? [];
}

test("a stack that is well needs nothing", () => {
  assert.equal(next(WELL), undefined);
});

/** Somebody has emptied its names. */
const EMPTIED = primaryAnswer({}, { synchronousNames: "" });

test("a primary that goes on acknowledging with fewer confirmers than its record says is noted in the record, once, and its names are left alone", () => {
  const seen = (atMs: number): SeenRound => ({ atMs, a: EMPTIED, b: STREAMING, witness: FOLLOWING });
  assert.equal(next([seen(0), seen(2_900)]), undefined);
  assert.deepEqual(next([seen(0), seen(3_000)])?.stages, [[{ kind: "note-unkept", waitsFor: 0 }]]);
  assert.equal(next([seen(0), seen(3_000)], { waitsFor: 0 }), undefined);
  const one = primaryAnswer({}, { synchronousNames: "ANY 1 (b, lifeboat_vault_e7)" });
  const strict = next(
    [
      { ...seen(0), a: one },
      { ...seen(3_000), a: one },
    ],
    { durability: "strict" },
  );
  assert.deepEqual(strict?.stages, [[{ kind: "note-unkept", waitsFor: 1 }]]);
  // What was put right again in time was a session that read it late.
  assert.equal(next([seen(0), { ...WELL[0], atMs: 2_000 }, seen(3_000)]), undefined);
});

test("what a primary was seen to do less is noted before it is started again, or told its confirmers anew", () => {
  const seen: SeenRound = { atMs: 0, a: EMPTIED, b: STREAMING, witness: FOLLOWING };
  const gone = [100, 300].map((atMs) => ({ ...seen, atMs, a: GONE, b: standbyAnswer(), witness: witnessAnswer() }));
  assert.deepEqual(steps(next([seen, ...gone])), ["note-unkept"]);
  assert.ok(steps(next([seen, ...gone], { waitsFor: 0 })).includes("start-primary"));
  const withdrawn = witnessAnswer({ mode: { kind: "withdrawn", by: 8 as Epoch } });
  assert.deepEqual(steps(next([{ ...seen, witness: withdrawn }])), ["note-unkept"]);
  assert.ok(steps(next([{ ...seen, witness: withdrawn }], { waitsFor: 0 })).includes("name-confirmers"));
});

test("in a failover whoever could confirm is stopped before anybody is asked what is held, and clients come last", () => {
  const order = steps(next(AWAY));
  for (const [first, second] of [
    ["note-action", "withdraw-witness"],
    ["withdraw-witness", "fill-gap"],
    ["see-receivers-gone", "fill-gap"],
    ["fill-gap", "await-replay"],
    ["await-replay", "note-promotion"],
    ["note-action", "prepare-candidate"],
    ["prepare-candidate", "see-receivers-gone"],
    ["note-promotion", "promote"],
    ["see-promoted", "note-primary"],
    ["note-primary", "witness-follows"],
    ["repoint-poolers", "resume-poolers"],
    ["resume-poolers", "prove-writes"],
    ["resume-poolers", "drop-dead"],
  ] as const) {
    assert.ok(order.includes(first) && order.indexOf(first) < order.indexOf(second), `${first} before ${second}`);
  }
});

test("a suspicion makes clients wait, once; when it is over they go on", () => {
  const suspicion = lasting({ a: GONE });
  assert.deepEqual(steps(next(suspicion)), ["pause-poolers"]);
  // One that may yet live may have a login in flight, which is not cut.
  for (const [kind, gone] of [["nobody-listens", true] as const, ["silent", false] as const])
    assert.deepEqual(next(lasting({ a: { kind } }))?.stages, [
      [{ kind: "pause-poolers", drain: false, gone, sparing: true }],
    ]);
  assert.equal(next(suspicion, {}, { mode: "paused" }), undefined);
  assert.deepEqual(steps(next(WELL, {}, { mode: "paused" })), ["resume-poolers"]);
});

test("an action that was cut short is finished where its candidate is a primary that misses nothing", () => {
  const promoted = primaryAnswer({ timelineStart: 900n as Lsn }, { timeline: 4 as Timeline });
  assert.equal(next(lasting({ a: GONE, b: promoted }, 500), { action: ACTION })?.kind, "finish");
  const short = primaryAnswer({ timelineStart: 899n as Lsn }, { timeline: 4 as Timeline });
  assert.notEqual(next(lasting({ a: GONE, b: short }, 500), { action: ACTION })?.kind, "finish");
});

test("an action that was cut short is undone where the old primary serves, and begun anew where it is gone", () => {
  assert.equal(next([{ atMs: 0, b: standbyAnswer({ upstream: false }) }], { action: ACTION })?.kind, "reinstate");
  assert.equal(next(AWAY, { action: ACTION })?.kind, "failover");
});

test("where nobody can take over, the recorded primary is started again, unless failover is paused", () => {
  const both = lasting({ a: GONE, b: GONE }, 500);
  assert.equal(steps(next(both))[0], "start-primary");
  assert.notEqual(steps(next(both, { maintenance: true }))[0], "start-primary");
});

test("a replica that does not come to follow is asked again ever later, up to five minutes, and one that followed meanwhile soon", () => {
  const down = (forMs: number) => lasting({ b: GONE, witness: FOLLOWING }, forMs);
  const asks = (forMs: number, tries: number): boolean =>
    next(down(forMs), {}, {}, new Map([["b", { askedAt: 0 as Monotonic, tries }]]))?.kind === "rejoin";
  for (const [tries, waitMs] of [
    [1, 5_000],
    [2, 10_000],
    [4, 40_000],
    [5, 80_000],
    [50, 80_000],
  ] as const) {
    assert.deepEqual([asks(waitMs - 1, tries), asks(waitMs, tries)], [false, true], `${tries} tries`);
  }
  const since = (rounds: readonly SeenRound[]) =>
    rejoinedSince(observe(rounds), new Map([["b", { askedAt: 7 as Monotonic, tries: 50 }]])).get("b");
  const alone = primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e7")] });
  assert.deepEqual(since(lasting({ a: alone, b: GONE }, 1_000)), { askedAt: 7, tries: 50 });
  assert.deepEqual(since(WELL), { askedAt: 7, tries: 0 });
  assert.equal(asks(4_999, 0), false);
  assert.equal(asks(5_000, 0), true);
});

test("where nobody can take over, a replica that is down is started too: nobody else may have what it has confirmed", () => {
  const asked = (plan: Plan | undefined) => plan?.stages.flat().filter(({ kind }) => kind === "rejoin") ?? [];
  const rejoin = { kind: "rejoin", node: "b" } as const;
  const silent = lasting({ a: { kind: "silent" }, b: GONE }, 3_500, 4_000);
  const both = lasting({ a: GONE, b: GONE }, 500);
  for (const rounds of [silent, both]) {
    for (const record of [{}, { action: PREPARING }]) assert.deepEqual(asked(next(rounds, record)), [rejoin]);
    assert.deepEqual(asked(next(rounds, { maintenance: true })), []);
    assert.deepEqual(asked(next(rounds, { joined: [] })), []);
    assert.deepEqual(asked(next(rounds, {}, {}, new Map([["b", { askedAt: 0 as Monotonic, tries: 9 }]]))), []);
  }
  assert.deepEqual(steps(next(silent)), ["rejoin"]);
  assert.deepEqual(next(both)?.stages[0], [{ kind: "start-primary" }, rejoin]);
});

test("a candidate that went down while it was promoted is started as it is: by now it may be a primary, which follows nobody", () => {
  const start = { kind: "start-candidate", node: "b" } as const;
  const record = { action: ACTION };
  const silent = lasting({ a: { kind: "silent" }, b: GONE }, 3_500, 4_000);
  assert.deepEqual(next(silent, record)?.stages, [[start]]);
  const both = lasting({ a: GONE, b: GONE }, 500);
  assert.deepEqual(next(both, record)?.stages[0], [{ kind: "start-primary" }, start]);
  assert.deepEqual(next(both, record, {}, new Map([["b", { askedAt: 0 as Monotonic, tries: 1 }]]))?.stages[0], [
    { kind: "start-primary" },
  ]);
  assert.equal(next(silent, { ...record, maintenance: true }), undefined);
});

test("a witness that does not follow the primary in its reign, or names of another reign, get a new one", () => {
  const withdrawn = witnessAnswer({ mode: { kind: "withdrawn", by: 8 as Epoch } });
  assert.equal(next([{ atMs: 0, b: STREAMING, witness: withdrawn }])?.kind, "reinstate");
  const old = primaryAnswer({}, { synchronousNames: "ANY 1 (b, lifeboat_vault_e6)" });
  assert.equal(next([{ atMs: 0, a: old, b: STREAMING, witness: FOLLOWING }])?.kind, "reinstate");
});

test("a primary that waits for more than the record says is left so, but not one that is held back for async", () => {
  const strict = primaryAnswer({}, { synchronousNames: "ANY 2 (b, lifeboat_vault_e7)" });
  const looks = [{ atMs: 0, a: strict, b: STREAMING, witness: FOLLOWING }];
  assert.notEqual(next(looks, { durability: "quorum" })?.kind, "reinstate");
  assert.equal(next(looks, { durability: "async" })?.kind, "reinstate");
});

test("a replica becomes a candidate once both sides say that it streams", () => {
  assert.deepEqual(steps(next(WELL, { joined: [] })), ["note-joined"]);
  const alone = primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e7")] });
  assert.equal(next([{ atMs: 0, a: alone, b: STREAMING, witness: FOLLOWING }], { joined: [] }), undefined);
});

test("an old primary that came back is made to follow, whatever it does", () => {
  const old = primaryAnswer({}, { timeline: 2 as Timeline });
  assert.deepEqual(steps(next([{ atMs: 0, b: old, witness: FOLLOWING }])), ["rejoin"]);
});

/** Nobody here has promoted it, and its commits wait for nobody: what it acknowledged is nowhere else. */
const BY_HAND = primaryAnswer(
  { flushed: 900_000n as Lsn, timelineStart: 1_000n as Lsn, confirmers: [] },
  { timeline: 4 as Timeline, synchronousNames: "" },
);
const ALONE = primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e7")] });

test("beside a node that a person has promoted nothing is started, made to follow or reinstated, and clients stay where they were led", () => {
  const withdrawn = witnessAnswer({ mode: { kind: "withdrawn", by: 8 as Epoch } });
  const scenes: readonly (readonly SeenRound[])[] = [
    [{ atMs: 0, a: ALONE, b: BY_HAND, witness: FOLLOWING }],
    [{ atMs: 0, a: ALONE, b: BY_HAND, witness: withdrawn }],
    lasting({ a: GONE, b: BY_HAND }, 300, 600),
    // What it had when it was seen last it has still.
    [...lasting({ a: GONE, b: BY_HAND }, 300), { atMs: 3_000, a: GONE, b: GONE }, { atMs: 6_000, a: GONE, b: GONE }],
    [
      ...lasting({ a: ALONE, b: BY_HAND, witness: FOLLOWING }, 300),
      { atMs: 9_000, b: GONE },
      { atMs: 19_000, b: GONE },
    ],
  ];
  for (const rounds of scenes) {
    for (const record of [{}, { action: PREPARING }, { durability: "async" as const }]) {
      const led = decideFailover(observe(rounds, record), POLICY);
      assert.equal(led.kind, "hold");
      assert.equal(led.reasons[0]?.code, "second-primary");
      assert.equal(next(rounds, record, { target: "b" }), undefined);
      assert.deepEqual(steps(next(rounds, record, { target: "b", mode: "paused" })), ["resume-poolers"]);
    }
  }
});

test("once a person has said that the recorded primary stays it is started again when it ends, and one that is seen to acknowledge beside it holds all the same", () => {
  const first: SeenRound = { atMs: 0, a: ALONE, b: BY_HAND, witness: FOLLOWING };
  const rebuilding: NodeProbe = { kind: "error", sqlstate: "57P03", rebuilding: true };
  const ended = (b: NodeProbe, ...timesMs: readonly number[]) =>
    timesMs.map((atMs): SeenRound => ({ atMs, a: GONE, b, witness: FOLLOWING }));
  const rebuilt: readonly SeenRound[] = [first, { atMs: 100, a: ALONE, b: rebuilding, witness: FOLLOWING }];
  const adopted: readonly SeenRound[] = [first, { atMs: 100, b: GONE, record: { reign: 9 as Epoch, joined: [] } }];
  const started = ["start-primary", "note-primary", "name-confirmers", "witness-follows", "repoint-poolers"];
  for (const [scene, rounds, beside] of [
    ["rebuilding", [...rebuilt, ...ended(rebuilding, 300, 600)], []],
    ["the rebuild failed", [...rebuilt, ...ended(GONE, 300, 600)], ["rejoin"]],
    ["the daemon died in it", [first, ...ended({ kind: "nobody-listens", unfinished: true }, 300, 600)], ["rejoin"]],
    ["adopted", [...adopted, ...ended(GONE, 300, 600)], []],
  ] as const) {
    const all = steps(next(rounds));
    const wanted = [...started.slice(0, 1), ...beside, ...started.slice(1)];
    assert.deepEqual(all.slice(0, wanted.length), wanted, scene);
  }
  for (const before of [rebuilt, adopted]) {
    assert.equal(next([...before, ...ended(BY_HAND, 300, 600)]), undefined);
  }
  // What begins unasked says nothing of whose writes stay.
  const unasked: NodeProbe = { kind: "error", sqlstate: "57P03" };
  assert.equal(next([first, ...ended(unasked, 100, 300, 600)]), undefined);
});

test("one that takes writes on the recorded primary's own timeline is a second primary too, and not one that has acknowledged nothing, or was replaced", () => {
  const decided = (view: Partial<NodeView>, role: Parameters<typeof primaryAnswer>[0] = {}) => {
    const b = primaryAnswer({ timelineStart: 1_000n as Lsn, confirmers: [], ...role }, view);
    return decideFailover(observe([{ atMs: 0, b, witness: FOLLOWING }]), POLICY).kind;
  };
  const [three, four] = [3 as Timeline, 4 as Timeline];
  const held = "ANY 1 (lifeboat_vault_e0)";
  const ofAction = "ANY 1 (a, lifeboat_vault_e8)";
  assert.equal(decided({ timeline: three, synchronousNames: "" }), "hold");
  assert.equal(decided({ timeline: four, synchronousNames: "FIRST 1 (somebody)" }), "hold");
  assert.equal(decided({ timeline: four, synchronousNames: ofAction }, { confirmers: [confirmer("a")] }), "hold");
  for (const synchronousNames of [held, ofAction])
    assert.equal(decided({ timeline: four, synchronousNames }), "healthy");
  // Commits wait for nobody then, whatever the names are.
  for (const synchronousCommit of ["local", "off"])
    assert.equal(decided({ timeline: four, synchronousNames: held }, { synchronousCommit }), "hold");
  assert.equal(decided({ timeline: four, synchronousNames: held }, { synchronousCommit: "remote_write" }), "healthy");
  assert.equal(decided({ timeline: 2 as Timeline, synchronousNames: "" }), "healthy");
});

test("while failover is paused a node is made to follow by a person only", () => {
  const paused = { maintenance: true };
  const down = lasting({ b: GONE, witness: FOLLOWING }, 2_000);
  const held = primaryAnswer(
    { confirmers: [] },
    { timeline: 4 as Timeline, synchronousNames: "ANY 1 (lifeboat_vault_e0)" },
  );
  for (const rounds of [down, [{ atMs: 0, b: held, witness: FOLLOWING }]]) {
    assert.deepEqual(steps(next(rounds)), ["rejoin"]);
    assert.equal(next(rounds, paused), undefined);
  }
  // That one only streams again, as it is.
  const detached = [{ atMs: 0, a: ALONE, b: standbyAnswer({ upstream: false }), witness: FOLLOWING }];
  assert.deepEqual(steps(next(detached, paused)), ["receive-from"]);
});

test("a standby that replays older WAL of the vault is left to it, until it gets no further", () => {
  const at = (atMs: number, replayed: number, role: Parameters<typeof standbyAnswer>[0] = {}): SeenRound => ({
    atMs,
    b: standbyAnswer(
      { replayed: BigInt(replayed) as Lsn, receiver: { kind: "none" }, ...role },
      { timeline: 2 as Timeline },
    ),
    witness: FOLLOWING,
  });
  const moving = [0, 1_500, 3_000, 4_500, 6_000].map((ms) => at(ms, 100 + ms));
  assert.equal(next(moving), undefined);
  assert.equal(next([...moving, at(7_900, 6_100)]), undefined);
  assert.deepEqual(steps(next([...moving, at(8_100, 6_100)])), ["rejoin"]);
  // A look without an answer is no way back to the beginning; a start is one.
  const missed = (b: NodeProbe): SeenRound => ({ atMs: 7_900, b, witness: FOLLOWING });
  const starting = { kind: "error", sqlstate: "57P03" } as const;
  assert.deepEqual(steps(next([...moving, missed({ kind: "silent" }), at(8_100, 6_100)])), ["rejoin"]);
  assert.equal(next([...moving, missed(starting), at(8_100, 6_100)]), undefined);
  // At one record for long, or paused.
  assert.equal(next([...moving, at(20_000, 6_100, { replayIdle: false })]), undefined);
  assert.deepEqual(steps(next([...moving, at(27_000, 6_100, { replayIdle: false })])), ["rejoin"]);
});

test("a standby that streams an older timeline is left to it where that is the primary's, and else made anew", () => {
  const streaming = standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1 } }, { timeline: 2 as Timeline });
  const round = { atMs: 0, b: streaming, witness: FOLLOWING };
  assert.notEqual(next([round])?.kind, "rejoin");
  const elsewhere = primaryAnswer({ confirmers: [confirmer("lifeboat_vault_e7")] });
  assert.deepEqual(steps(next([{ ...round, a: elsewhere }])), ["rejoin"]);
});

test("every step says what it brings about", () => {
  for (const effect of Object.values(STEP_EFFECTS)) assert.match(effect, /^([a-z]|WAL ).*[^.]$/);
});

test("a switchover is refused with its reasons unless everything is well", () => {
  const refused = decideSwitchover(observe([{ atMs: 0, witness: null }]), { to: "b", policy: POLICY });
  assert.ok(refused.kind === "refused");
  assert.deepEqual(
    refused.reasons.map(({ code }) => code),
    ["replica-not-connected", "witness-silent"],
  );
  const ready = decideSwitchover(observe(WELL), { to: "b", policy: POLICY });
  assert.ok(ready.kind === "ready");
  const order = steps(ready.plan);
  assert.ok(order.indexOf("pause-poolers") < order.indexOf("note-action"), "a pause that fails needs no undoing");
  assert.equal(decideSwitchover(observe(WELL), { to: "a", policy: POLICY }).kind, "refused");
  const deaf = standbyAnswer(
    { receiver: { kind: "streaming", receivedAgoMs: 1 } },
    { hindrances: [{ kind: "no-alter-system" }, { kind: "replay-paused" }] },
  );
  const toDeaf = decideSwitchover(observe([{ atMs: 0, b: deaf, witness: FOLLOWING }]), { to: "b", policy: POLICY });
  assert.ok(toDeaf.kind === "refused");
  assert.deepEqual(
    toDeaf.reasons.map(({ code }) => code),
    ["no-alter-system"],
  );
  const refusedIn = observe([{ atMs: 0, b: { kind: "error", sqlstate: "28P01" }, witness: FOLLOWING }]);
  const toRefusing = decideSwitchover(refusedIn, { to: "b", policy: POLICY });
  assert.ok(toRefusing.kind === "refused");
  assert.deepEqual(
    toRefusing.reasons.map(({ code, facts }) => [code, facts["sqlstate"]]),
    [["candidate-error", "28P01"]],
  );
  assert.equal(RECORD.primary, "a");
});
