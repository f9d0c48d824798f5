import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { COMPONENT_NAMES } from "./component-names.ts";
import { planDown, planUp, type StackFacts, UP_STEPS } from "./plan.ts";

const fresh: StackFacts = {
  folders: false,
  secretsMissing: 9,
  configStale: [...COMPONENT_NAMES],
  roles: { primary: "db", recorded: "none" },
  wantsDaemon: true,
  wantsService: true,
  db: "absent",
  replica: "absent",
  vault: "absent",
  running: new Set(),
  undescribed: ["somebody's"],
  apiAwaitsSchema: false,
  governed: false,
  primary: undefined,
};

const up: StackFacts = {
  folders: true,
  secretsMissing: 0,
  configStale: [],
  roles: { primary: "db", recorded: "settled" },
  wantsDaemon: true,
  wantsService: true,
  db: "primary",
  replica: "standby",
  vault: "has-backup",
  running: new Set(COMPONENT_NAMES),
  undescribed: [],
  apiAwaitsSchema: false,
  governed: true,
  primary: { prepared: true, rolesFit: true, durability: "quorum", receiverStreams: true, replicaStreams: true },
};

const NOTHING_RUNS = { running: new Set<never>(), governed: false };

function stepsOf(facts: StackFacts): readonly string[] {
  const plan = planUp(facts);
  assert.equal(plan.kind, "steps");
  return plan.kind === "steps" ? plan.steps : [];
}

test("from nothing every step is taken, in its order", () => {
  assert.deepEqual(stepsOf(fresh), UP_STEPS);
});

test("a stack that is up is left alone", () => {
  assert.deepEqual(stepsOf(up), []);
  assert.deepEqual(
    stepsOf({ ...fresh, wantsService: false }),
    UP_STEPS.filter((step) => !["api", "mcp", "scraper-scheduler"].includes(step)),
  );
});

test("what runs and is not described any more is stopped, but a daemon that has not ended an action", () => {
  const without: StackFacts = { ...up, wantsDaemon: false, undescribed: ["daemon", "daemon_2"] };
  assert.deepEqual(stepsOf(without), ["undescribed", "proof"]);
  assert.ok(!stepsOf({ ...without, roles: { primary: "db", recorded: "unsettled" } }).includes("undescribed"));
});

test("a role whose password was set by hand locks the pooler out: it is given its own again, also while a daemon runs", () => {
  const primary = { ...up.primary, prepared: true, rolesFit: false } as NonNullable<StackFacts["primary"]>;
  assert.deepEqual(stepsOf({ ...up, primary }), ["database", "proof"]);
});

test("a secret that is gone is given to the server as well as to the files, also while a daemon runs", () => {
  assert.deepEqual(stepsOf({ ...up, secretsMissing: 1, configStale: ["db"], primary: undefined }), [
    "secrets",
    "config",
    "database",
    "receiver",
  ]);
});

test("a pooler that runs and lets the application in no more is not passed over", () => {
  assert.deepEqual(stepsOf({ ...up, poolersServe: true }), []);
  assert.deepEqual(stepsOf({ ...up, poolersServe: false }), ["pgbouncer", "proof"]);
});

test("an instance of the API that is newer than the database's schema has it brought there, while all of them run", () => {
  assert.deepEqual(stepsOf({ ...up, apiAwaitsSchema: true }), ["api", "proof"]);
  assert.deepEqual(stepsOf({ ...up, apiAwaitsSchema: true, wantsService: false }), []);
  const unsettled = { primary: "db", recorded: "unsettled" } as const;
  assert.deepEqual(stepsOf({ ...up, apiAwaitsSchema: true, roles: unsettled }), []);
});

test("a durability that an operator chose since stays, one that nobody chose is set", () => {
  const durable = (durability: NonNullable<StackFacts["primary"]>["durability"]): StackFacts => ({
    ...up,
    primary: { prepared: true, rolesFit: true, durability, receiverStreams: true, replicaStreams: true },
  });
  assert.deepEqual(stepsOf(durable("async")), []);
  assert.deepEqual(stepsOf(durable("other")), []);
  assert.deepEqual(stepsOf(durable("unset")), ["durability", "proof"]);
});

test("after a kill of everything the data is kept and the programs are started, nodes before those who lead to them", () => {
  assert.deepEqual(stepsOf({ ...up, ...NOTHING_RUNS, primary: undefined }), [
    "db-start",
    "database",
    "receiver",
    "replica-start",
    "durability",
    "redis",
    "pgbouncer",
    "pooler_watch",
    "api",
    "haproxy",
    "mcp",
    "scraper-scheduler",
    "daemon",
    "proof",
  ]);
});

test("a primary whose data is gone is not begun anew while the vault holds backups of it", () => {
  // Or lies there half restored.
  for (const db of ["absent", "unfinished"] as const) {
    const lost: StackFacts = { ...up, db, ...NOTHING_RUNS };
    assert.deepEqual(planUp(lost), { kind: "refused", reason: "data-missing" });
  }
});

test("a primary whose data is gone is not begun anew over a vault that could not be looked into, or beside a node that has data", () => {
  for (const db of ["absent", "unfinished"] as const) {
    const lost: StackFacts = { ...up, db, ...NOTHING_RUNS, primary: undefined };
    const refused = { kind: "refused", reason: "data-missing" };
    assert.deepEqual(planUp({ ...lost, replica: "absent", vault: "unread", secretsMissing: 1 }), refused);
    // The vault is not mounted either.
    for (const vault of ["absent", "no-backup"] as const) assert.deepEqual(planUp({ ...lost, vault }), refused);
    const replaced = { ...lost, roles: { primary: "db_replica", recorded: "settled" }, vault: "absent" } as const;
    assert.deepEqual(planUp({ ...replaced, replica: "primary" }), refused);
  }
});

test("no vault is made where the receiver has worked with one that is not there, and in another one's place it is restarted", () => {
  const replaced: StackFacts = { ...up, replacedVault: "earlier" };
  for (const facts of [replaced, { ...replaced, ...NOTHING_RUNS }]) {
    const refused = { kind: "refused", reason: "vault-missing", vaultId: "earlier" };
    assert.deepEqual(planUp({ ...facts, vault: "absent" }), refused);
  }
  assert.deepEqual(stepsOf({ ...replaced, vault: "no-backup" }), ["receiver", "backup", "proof"]);
  assert.deepEqual(stepsOf({ ...replaced, roles: { primary: "db", recorded: "unsettled" } }), []);
});

test("nodes that changed their roles are not started where no controller has said so", () => {
  const unknown: StackFacts = { ...up, ...NOTHING_RUNS, roles: { primary: "db", recorded: "none" } };
  assert.deepEqual(planUp({ ...unknown, db: "standby" }), { kind: "refused", reason: "roles-changed", node: "db" });
  assert.deepEqual(planUp({ ...unknown, replica: "primary" }), {
    kind: "refused",
    reason: "roles-changed",
    node: "db_replica",
  });
});

test("a primary that does not run is not waited for where a person paused failover, and a daemon runs that leaves it so", () => {
  const roles = { primary: "db", recorded: "settled", failoverPaused: true } as const;
  const others = new Set(COMPONENT_NAMES.filter((name) => name !== "db"));
  const dead: StackFacts = { ...up, roles, primary: undefined, running: others };
  assert.deepEqual(planUp(dead), { kind: "refused", reason: "failover-paused" });
  // It starts anew, and answers soon.
  assert.equal(planUp({ ...dead, running: new Set(COMPONENT_NAMES) }).kind, "steps");
  assert.ok(stepsOf({ ...dead, governed: false }).includes("db-start"));
  assert.equal(planUp({ ...dead, roles: { ...roles, recorded: "unsettled" } }).kind, "steps");
});

test("another database than the poolers lead to is refused before anything is changed", () => {
  const refused = planUp({ ...up, otherDatabase: "catalog", configStale: ["daemon", "pgbouncer"] });
  assert.deepEqual(refused, { kind: "refused", reason: "database-changed", database: "catalog" });
});

test("another role of the application than the poolers let in is refused before anything is changed", () => {
  const refused = planUp({ ...up, otherApplication: "buywhere", configStale: ["daemon", "pgbouncer"] });
  assert.deepEqual(refused, { kind: "refused", reason: "application-role-changed", role: "buywhere" });
});

test("after a failover the recorded primary is started, and an old one is left to the daemon to make a replica of", () => {
  const roles = { primary: "db_replica", recorded: "settled" } as const;
  const failedOver: StackFacts = { ...up, roles, replica: "primary", ...NOTHING_RUNS, primary: undefined };
  const steps = stepsOf(failedOver);
  assert.ok(steps.includes("db-start") && steps.includes("daemon"));
  assert.ok(!steps.includes("replica-data") && !steps.includes("replica-start") && !steps.includes("proof"));
  // What should be the primary and is none is for a person.
  assert.deepEqual(planUp({ ...failedOver, db: "standby" }), {
    kind: "refused",
    reason: "roles-changed",
    node: "db_replica",
  });
});

test("nodes are the daemon's while it runs, or while a failover has not ended", () => {
  const down: StackFacts = { ...up, db: "standby", replica: "primary", primary: undefined };
  const running = new Set([
    "daemon",
    "redis",
    "pgbouncer",
    "pooler_watch",
    "api",
    "haproxy",
    "mcp",
    "scraper-scheduler",
    "receiver",
  ] as const);
  assert.deepEqual(stepsOf({ ...down, running }), ["receiver"]);
  // One of two daemons was killed: the other one governs.
  running.delete("daemon");
  assert.deepEqual(stepsOf({ ...down, running }), ["receiver", "daemon"]);
  const unsettled = { primary: "db", recorded: "unsettled" } as const;
  const steps = stepsOf({ ...down, roles: unsettled, ...NOTHING_RUNS });
  assert.ok(!steps.some((step) => /^(db|replica)-/.test(step)) && steps.at(-1) === "daemon");
});

test("whatever is seen, steps keep their order, commits wait for confirmers last of the nodes' steps, and a proof ends it", () => {
  const facts = fc.record<StackFacts>({
    folders: fc.boolean(),
    secretsMissing: fc.nat(2),
    configStale: fc.subarray([...COMPONENT_NAMES]),
    roles: fc.record({
      primary: fc.constantFrom("db", "db_replica"),
      recorded: fc.constantFrom("none", "settled", "unsettled"),
    }),
    wantsDaemon: fc.boolean(),
    wantsService: fc.boolean(),
    db: fc.constantFrom("absent", "unfinished", "primary", "standby"),
    replica: fc.constantFrom("absent", "unfinished", "primary", "standby"),
    vault: fc.constantFrom("absent", "unread", "no-backup", "has-backup"),
    running: fc.subarray([...COMPONENT_NAMES]).map((names) => new Set(names)),
    undescribed: fc.subarray(["daemon", "api"]),
    apiAwaitsSchema: fc.boolean(),
    governed: fc.boolean(),
    primary: fc.option(
      fc.record({
        prepared: fc.boolean(),
        rolesFit: fc.boolean(),
        durability: fc.constantFrom("unset", "other", "async", "quorum", "strict"),
        receiverStreams: fc.boolean(),
        replicaStreams: fc.boolean(),
      }),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(facts, (seen) => {
      const plan = planUp(seen);
      if (plan.kind === "refused") return;
      const places = plan.steps.map((step) => UP_STEPS.indexOf(step));
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
      // Without a replica that streams or is about to, there is nobody to read a proof back on.
      const replica = seen.replica !== "primary" && seen.roles.recorded !== "unsettled" && !seen.governed;
      if (replica) assert.equal(plan.steps.length === 0 || plan.steps.at(-1) === "proof", true);
      // What a controller decides about a node is not decided here.
      if (seen.governed) assert.ok(!plan.steps.some((step) => /^(db|replica)-/.test(step)));
      // A new cluster only where there was none and nothing is held of an earlier one.
      if (!plan.steps.includes("db-data")) return;
      assert.ok(seen.vault === "absent" || seen.vault === "no-backup");
      assert.ok(seen.replica === "absent" || seen.replica === "unfinished");
    }),
    { numRuns: repetitions(300), seed: testSeed() },
  );
});

test("going down, clients are let go first, and the receiver last, behind the primary", () => {
  assert.deepEqual(planDown(new Set(COMPONENT_NAMES)), [
    "daemon",
    "scraper-scheduler",
    "mcp",
    "haproxy",
    "api",
    "pooler_watch",
    "pgbouncer",
    "redis",
    "db_replica",
    "db",
    "receiver",
  ]);
  assert.deepEqual(planDown(new Set(["db", "somebody_else"])), ["db"]);
});
