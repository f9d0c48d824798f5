import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instant, Monotonic } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { type Lag, type ReplicationView, viewReplication } from "./decide.ts";
import type { Confirmer, NodeLook, PrimaryLook, ReplicaLook, Sender, Slot } from "./facts.ts";
import { LagSamples } from "./samples.ts";

const MIB = 1024 ** 2;
const POLICY = { lagMsMax: 30_000, lagBytesMax: 64 * MIB };
const CONFIRMERS: readonly Confirmer[] = [
  { kind: "replica", name: "db", slot: "db" },
  { kind: "replica", name: "db_replica", slot: "db_replica" },
  { kind: "receiver", name: "lifeboat_vault", slot: "lifeboat_vault" },
];
const END = 10_000n as Lsn;
const NOW = 100_000 as Monotonic;

const everywhere = (lsn: bigint) => ({ write: lsn as Lsn, flush: lsn as Lsn, replay: lsn as Lsn });
const nothingMeasured = { write: undefined, flush: undefined, replay: undefined };

function sender(name: string, different: Partial<Sender> = {}): Sender {
  const pid = name === "db_replica" ? 11 : 12;
  const common = { state: "streaming", syncState: "quorum", measuredMs: nothingMeasured };
  return { name, pid, at: everywhere(END), ...common, ...different };
}

function slot(name: string, different: Partial<Slot> = {}): Slot {
  const pid = name === "db_replica" ? 11 : 12;
  return { name, active: true, pid, walStatus: "reserved", keptBytes: 0, safeBytes: 1024 * MIB, ...different };
}

function primary(different: Partial<PrimaryLook> = {}): PrimaryLook {
  return {
    kind: "primary",
    name: "db",
    timeline: 1 as Timeline,
    end: END,
    senders: [sender("db_replica"), sender("lifeboat_vault")],
    slots: [slot("db_replica"), slot("lifeboat_vault")],
    ...different,
  };
}

function replica(different: Partial<ReplicaLook> = {}): ReplicaLook {
  return {
    kind: "replica",
    name: "db_replica",
    at: everywhere(END),
    reception: { status: "streaming", receivedAgoMs: 200, timeline: 1 as Timeline, slot: "db_replica" },
    replayPaused: false,
    conflicts: { lock: 0 },
    ...different,
  };
}

/** One byte of WAL a millisecond for the last ten seconds, up to END now; looked at every second. */
function samples(): LagSamples {
  const made = new LagSamples();
  for (let ago = 10; ago >= 0; ago -= 1) {
    made.add("db/1", (NOW - 1_000 * ago) as Monotonic, (END - BigInt(1_000 * ago)) as Lsn);
  }
  return made;
}

function view(nodes: readonly NodeLook[]): ReplicationView {
  const look = { at: 0 as Instant, nodes };
  return viewReplication({ look, samples: samples(), now: NOW, confirmers: CONFIRMERS }, POLICY);
}

const codes = (nodes: readonly NodeLook[]): readonly string[] => view(nodes).faults.map(({ code }) => code);
const named = (seen: ReplicationView, name: string) => {
  const found = seen.confirmers.find((each) => each.name === name);
  assert(found !== undefined);
  return found;
};
const known = (bytes: number, ms: number): Lag => ({ kind: "known", bytes, ms, atLeast: false });
const gone: NodeLook = { kind: "unreachable", name: "db", code: "postgres.unreachable", message: "nobody listens" };

test("when both confirmers have everything nothing is wrong, and the primary is no confirmer of itself", () => {
  const seen = view([primary(), replica()]);
  assert.deepEqual(seen.faults, []);
  assert.deepEqual(
    seen.confirmers.map(({ name, connected }) => [name, connected]),
    [
      ["db_replica", true],
      ["lifeboat_vault", true],
    ],
  );
  assert.deepEqual(named(seen, "db_replica").lag.replay, known(0, 0));
});

test("each stage has its own lag, by what primary and replica know at best", () => {
  const at = { write: (END - 500n) as Lsn, flush: (END - 2_500n) as Lsn, replay: (END - 9_000n) as Lsn };
  const told = { write: (END - 2_000n) as Lsn, flush: (END - 3_000n) as Lsn, replay: (END - 9_500n) as Lsn };
  const seen = view([primary({ senders: [sender("db_replica", { at: told })] }), replica({ at })]);
  const { lag } = named(seen, "db_replica");
  assert.deepEqual([lag.write, lag.flush, lag.replay], [known(500, 0), known(2_500, 2_000), known(9_000, 8_000)]);
});

test("who is not connected has no lag of zero, however much it has, and is an alarm", () => {
  const seen = view([primary({ senders: [] }), replica({ reception: undefined })]);
  for (const { connected, state, lag } of seen.confirmers) {
    assert.deepEqual([connected, state], [false, "disconnected"]);
    assert.deepEqual(lag.replay, { kind: "disconnected" });
  }
  assert.deepEqual(codes([primary({ senders: [] }), replica({ reception: undefined })]), [
    "disconnected",
    "disconnected",
  ]);
});

test("a receiver that a failover has withdrawn is told as such, and has no lag of zero either", () => {
  const withdrawn = CONFIRMERS.map((each) => (each.kind === "receiver" ? { ...each, withdrawnBy: 8 } : each));
  const look = { at: 0 as Instant, nodes: [primary({ senders: [sender("db_replica")] }), replica()] };
  const seen = viewReplication({ look, samples: samples(), now: NOW, confirmers: withdrawn }, POLICY);
  const { state, lag } = named(seen, "lifeboat_vault");
  assert.deepEqual([state, lag.flush.kind], ["withdrawn", "disconnected"]);
  assert.deepEqual(
    seen.faults.map(({ code }) => code),
    ["withdrawn"],
  );
});

test("a replica that cannot be asked itself is judged by the primary's word", () => {
  const cut: NodeLook = { kind: "unreachable", name: "db_replica", code: "postgres.timeout", message: "no answer" };
  const seen = view([primary(), cut]);
  assert.equal(named(seen, "db_replica").connected, true);
  assert.deepEqual(
    seen.faults.map(({ code }) => code),
    ["node-unreachable"],
  );
});

test("without a primary to ask, a replica that still hears from it is connected with a lag that is not known", () => {
  const seen = view([gone, replica()]);
  assert.deepEqual(
    seen.faults.map(({ code }) => code),
    ["node-unreachable", "no-primary"],
  );
  assert.deepEqual([named(seen, "db_replica").connected, named(seen, "db_replica").lag.replay.kind], [true, "unknown"]);
  // The receiver cannot be asked here: it is not said to be connected.
  assert.equal(named(seen, "lifeboat_vault").lag.flush.kind, "disconnected");
});

test("without a primary to ask, a replica whose view still says streaming and that hears nothing is not connected", () => {
  const silent = { status: "streaming", receivedAgoMs: 6_000, timeline: 1 as Timeline, slot: "db_replica" };
  assert.equal(named(view([gone, replica({ reception: silent })]), "db_replica").connected, false);
});

test("a connected replica that hears nothing is an alarm of its own", () => {
  const reception = { status: "streaming", receivedAgoMs: 6_000, timeline: 1 as Timeline, slot: "db_replica" };
  assert.deepEqual(codes([primary(), replica({ reception })]), ["silent"]);
});

test("two nodes that take writes are told, both named", () => {
  const seen = view([primary(), primary({ name: "db_replica", timeline: 2 as Timeline })]);
  assert.deepEqual(seen.primaries, ["db", "db_replica"]);
  assert.equal(seen.faults[0]?.code, "two-primaries");
});

test("lag is an alarm beyond its time and beyond its bytes: of a replica in replay, of the receiver in what it synced", () => {
  const far = everywhere(END - BigInt(65 * MIB));
  const late = primary({ senders: [sender("db_replica", { at: far }), sender("lifeboat_vault", { at: far })] });
  const replayed = replica({ at: far });
  assert.deepEqual(codes([late, replayed]), ["lagging", "lagging"]);
  const onlyReplay = replica({ at: { ...everywhere(END), replay: far.replay } });
  assert.deepEqual(codes([primary({ senders: [sender("db_replica"), sender("lifeboat_vault")] }), onlyReplay]), []);
  const told = sender("db_replica", { at: { ...everywhere(END), replay: far.replay } });
  assert.deepEqual(codes([primary({ senders: [told, sender("lifeboat_vault")] }), onlyReplay]), ["lagging"]);
  const slow = sender("db_replica", { at: far, measuredMs: { ...nothingMeasured, replay: 31_000 } });
  const measured = view([primary({ senders: [slow, sender("lifeboat_vault")] }), replica({ at: far })]);
  assert.deepEqual(named(measured, "db_replica").lag.replay, {
    kind: "known",
    bytes: 65 * MIB,
    ms: 31_000,
    atLeast: true,
  });
});

test("a receiver that streams and has reported nothing is told to confirm nothing", () => {
  const mute = sender("lifeboat_vault", { at: { write: undefined, flush: undefined, replay: undefined } });
  assert.deepEqual(codes([primary({ senders: [sender("db_replica"), mute] }), replica()]), ["confirms-nothing"]);
});

test("a replica that is paused, catches up, or follows another timeline is told", () => {
  assert.deepEqual(codes([primary(), replica({ replayPaused: true })]), ["replay-paused"]);
  const catching = primary({ senders: [sender("db_replica", { state: "catchup" }), sender("lifeboat_vault")] });
  assert.deepEqual(codes([catching, replica()]), ["catching-up"]);
  const reception = { status: "streaming", receivedAgoMs: 1, timeline: 2 as Timeline, slot: "db_replica" };
  assert.deepEqual(codes([primary(), replica({ reception })]), ["other-timeline"]);
});

test("a slot that is missing, lost, nearly full, or not held by its confirmer is told", () => {
  const withSlot = (different: Partial<Slot>) =>
    primary({ slots: [slot("db_replica", different), slot("lifeboat_vault")] });
  assert.deepEqual(codes([primary({ slots: [slot("lifeboat_vault")] }), replica()]), ["slot-missing"]);
  assert.deepEqual(codes([withSlot({ walStatus: "lost" }), replica()]), ["slot-lost"]);
  assert.deepEqual(codes([withSlot({ walStatus: "unreserved" }), replica()]), ["slot-lost"]);
  assert.deepEqual(codes([withSlot({ keptBytes: 900, safeBytes: 100 }), replica()]), ["slot-nearly-full"]);
  assert.deepEqual(codes([withSlot({ keptBytes: 900, safeBytes: undefined }), replica()]), []);
  assert.deepEqual(codes([withSlot({ pid: 99 }), replica()]), ["slot-unused"]);
});

test("two connections of one name are told", () => {
  const senders = [sender("db_replica"), sender("DB_REPLICA", { pid: 99 }), sender("lifeboat_vault")];
  assert.deepEqual(codes([primary({ senders }), replica()]), ["name-twice"]);
});
