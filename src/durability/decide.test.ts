import assert from "node:assert/strict";
import { test } from "node:test";
import {
  durabilityFacts as facts,
  DURABILITY_NAMES as NAMES,
  confirmerRow as row,
} from "../../test/support/durability-facts.ts";
import { judgeDurability, planChange } from "./decide.ts";
import type { DurabilityFacts } from "./facts.ts";
import type { DurabilityMode } from "./names.ts";

const faultsOf = (given: DurabilityFacts): readonly string[] => judgeDurability(given).faults.map(({ code }) => code);

test("a server that does as described, with both confirmers streaming, has nothing wrong in any mode", () => {
  for (const mode of ["async", "quorum", "strict"] as const) {
    const view = judgeDurability(facts(mode));
    assert.deepEqual([view.described, view.set, view.effective, view.faults], [mode, mode, mode, []]);
    assert.deepEqual(view.confirming, mode === "async" ? [] : ["db_replica", "lifeboat_vault"]);
  }
});

test("a server that disagrees with the description is an alarm, whoever set it", () => {
  assert.deepEqual(faultsOf(facts("async", {}, "quorum")), ["not-as-described"]);
  assert.deepEqual(faultsOf(facts("strict", {}, "async")), ["not-as-described"]);
  const byHand = { effectiveNames: "FIRST 1 (db_replica)", setNames: "FIRST 1 (db_replica)" };
  assert.deepEqual(faultsOf(facts("quorum", byHand)), ["not-as-described"]);
  const others = { effectiveNames: "ANY 1 (db_replica, elsewhere)", setNames: "ANY 1 (db_replica, elsewhere)" };
  assert.deepEqual(faultsOf(facts("quorum", others)), ["other-names"]);
});

test("what is in the files and not in force is an alarm, with the reason where the server gives one", () => {
  const broken = { setNames: "ANY 1 (db_replica", setError: "setting could not be applied" };
  const { faults } = judgeDurability(facts("quorum", broken));
  assert.deepEqual(
    faults.map(({ code }) => code),
    ["not-loaded"],
  );
  assert.match(faults[0]?.message ?? "", /setting could not be applied/);
});

test("sessions that do not wait are named, by the server's default and by role and database, but where nobody waits", () => {
  const off = judgeDurability(facts("quorum", { synchronousCommit: "local" }));
  assert.equal(off.effective, "async");
  assert.deepEqual(
    off.faults.map(({ code }) => code),
    ["commits-do-not-wait"],
  );
  const overrides = [
    { role: "importer", database: undefined, value: "off" },
    { role: undefined, database: "catalog", value: "remote_write" },
    { role: "careful", database: "catalog", value: "remote_apply" },
  ];
  const messages = judgeDurability(facts("quorum", { overrides })).faults.map(({ message }) => message);
  assert.equal(messages.length, 2);
  assert.match(messages[0] ?? "", /off for role importer/);
  assert.match(messages[1] ?? "", /remote_write for database catalog/);
  assert.deepEqual(faultsOf(facts("async", { overrides, synchronousCommit: "off" })), []);
});

test("one confirmer gone is said while the other confirms alone; both gone, that nothing is acknowledged", () => {
  assert.deepEqual(faultsOf(facts("quorum", { confirmers: [row("lifeboat_vault")] })), ["confirmer-missing"]);
  const catching = [row("db_replica", { state: "catchup", syncState: "potential" }), row("lifeboat_vault")];
  assert.deepEqual(faultsOf(facts("quorum", { confirmers: catching })), ["confirmer-missing"]);
  const stuck = { confirmers: [], waiting: { count: 4, longestMs: 100 } };
  const [fault] = judgeDurability(facts("quorum", stuck)).faults;
  assert.equal(fault?.code, "nobody-confirms");
  assert.match(fault?.remedy ?? "", /lifeboat durability async/);
  const half = judgeDurability(facts("strict", { confirmers: [row("lifeboat_vault")] })).faults[0];
  assert.match(half?.remedy ?? "", /lifeboat durability quorum/);
});

test("one that streams and is not counted does not confirm", () => {
  const uncounted = [row("db_replica", { syncState: "async" }), row("lifeboat_vault")];
  assert.deepEqual(judgeDurability(facts("quorum", { confirmers: uncounted })).confirming, ["lifeboat_vault"]);
});

test("one that streams and has reported no position confirms nothing, and commits that wait for long are told beside whoever is missing", () => {
  const waiting = { count: 37, longestMs: 60_000 };
  const mute = row("lifeboat_vault", { flushed: undefined, behindBytes: undefined });
  const alone = judgeDurability(facts("quorum", { confirmers: [mute], waiting }));
  assert.deepEqual(alone.confirming, []);
  assert.deepEqual(
    alone.faults.map(({ code }) => code),
    ["nobody-confirms"],
  );
  assert.match(alone.faults[0]?.remedy ?? "", /lifeboat durability async/);
  const hangs = judgeDurability(facts("quorum", { confirmers: [row("lifeboat_vault")], waiting }));
  assert.deepEqual(
    hangs.faults.map(({ code }) => code),
    ["confirmer-missing", "commits-wait-long"],
  );
  assert.match(hangs.faults[1]?.remedy ?? "", /disks of lifeboat_vault .* lifeboat durability async/);
});

test("two connections of one name are an alarm, and commits that wait for long are", () => {
  const twice = [row("db_replica"), row("DB_REPLICA", { pid: 99 }), row("lifeboat_vault")];
  assert.deepEqual(faultsOf(facts("quorum", { confirmers: twice })), ["name-twice"]);
  assert.deepEqual(faultsOf(facts("quorum", { waiting: { count: 2, longestMs: 6_000 } })), ["commits-wait-long"]);
});

test("a version whose commits may not wait after a start is an alarm where commits are meant to wait", () => {
  for (const version of [150_012, 160_008, 170_004, 140_018]) {
    assert.deepEqual(faultsOf(facts("quorum", { version })), ["version-unsafe"], String(version));
    assert.deepEqual(faultsOf(facts("async", { version })), [], String(version));
  }
  for (const version of [150_013, 160_009, 170_005, 180_000]) {
    assert.deepEqual(faultsOf(facts("quorum", { version })), [], String(version));
  }
});

test("raising needs enough confirmers that stream, each name once, unless forced", () => {
  const to = "strict" as const;
  const raised = planChange(facts("async"), { to, force: false });
  assert.deepEqual(raised, { kind: "change", from: "async", to, names: NAMES.strict, lowers: undefined });
  const lone = facts("quorum", { confirmers: [row("lifeboat_vault")] });
  const refused = planChange(lone, { to, force: false });
  assert.deepEqual(refused, {
    kind: "refused",
    reason: "too-few",
    need: 2,
    streaming: ["lifeboat_vault"],
    missing: ["db_replica"],
  });
  assert.equal(planChange(lone, { to, force: true }).kind, "change");
  const twice = [row("db_replica"), row("db_replica", { pid: 99 }), row("lifeboat_vault")];
  const collided = planChange(facts("async", { confirmers: twice }), { to: "quorum", force: false });
  assert.deepEqual(collided, { kind: "refused", reason: "name-twice", name: "db_replica", pids: [11, 99] });
});

test("a mode that waits is refused on a version that may not wait, forced or not; async never is", () => {
  const old = facts("async", { version: 160_008 });
  for (const force of [false, true]) {
    assert.deepEqual(planChange(old, { to: "quorum", force }), {
      kind: "refused",
      reason: "version-unsafe",
      version: 160_008,
    });
  }
  assert.equal(planChange(facts("quorum", { version: 160_008 }), { to: "async", force: false }).kind, "change");
});

test("every lowering says who waits and who is connected, also when nobody confirms and when names are somebody's own", () => {
  const cost = { waiting: 7, clients: 34 };
  const waiting = { count: 7, longestMs: 900 };
  const lowersOf = (given: DurabilityFacts, to: DurabilityMode) => {
    const plan = planChange(given, { to, force: false });
    return plan.kind === "change" ? plan.lowers : plan;
  };
  assert.deepEqual(lowersOf(facts("quorum", { waiting, confirmers: [] }), "async"), cost);
  assert.deepEqual(lowersOf(facts("strict", { waiting }), "quorum"), cost);
  const byHand = { effectiveNames: "FIRST 2 (x, y)", setNames: "FIRST 2 (x, y)", waiting };
  assert.deepEqual(lowersOf(facts("quorum", byHand), "quorum"), cost);
  assert.equal(lowersOf(facts("quorum"), "strict"), undefined);
});

test("nothing is done only where server, files and description say the same already", () => {
  assert.equal(planChange(facts("quorum"), { to: "quorum", force: false }).kind, "nothing");
  assert.equal(planChange(facts("quorum", {}, "strict"), { to: "quorum", force: false }).kind, "change");
  assert.equal(planChange(facts("quorum", { setNames: "" }), { to: "quorum", force: false }).kind, "change");
  // Blank by default and blank by choice are not the same to the next start.
  assert.equal(planChange(facts("async", { setNames: undefined }), { to: "async", force: false }).kind, "change");
});

test("while a failover has the receiver's mandate nothing is changed, since whoever waits would be told too much; unless forced", () => {
  const stuck = { ...facts("quorum", { confirmers: [], waiting: { count: 2, longestMs: 100 } }), withdrawnBy: 8 };
  const refused = { kind: "refused", reason: "failover-under-way", epoch: 8 };
  assert.deepEqual(planChange(stuck, { to: "async", force: false }), refused);
  const forced = planChange(stuck, { to: "async", force: true });
  assert.deepEqual(forced.kind === "change" && forced.lowers, { waiting: 2, clients: 34 });
});

test("a node in recovery is no place to change durability", () => {
  const plan = planChange(facts("quorum", { inRecovery: true }), { to: "async", force: false });
  assert.deepEqual(plan, { kind: "refused", reason: "not-primary" });
});
