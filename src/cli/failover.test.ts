import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs, type Engines } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { type CheckReport, unwatched } from "../daemon/check-report.ts";
import { EXIT } from "../errors/entry.ts";
import type { FailoverEngine } from "./failover.ts";
import { runCli } from "./run.ts";

const notGiven = async (): Promise<never> => assert.fail();
const none: FailoverEngine = {
  check: notGiven,
  promote: notGiven,
  adopt: notGiven,
  switchover: notGiven,
  rebuild: notGiven,
  putBack: notGiven,
  setMaintenance: notGiven,
};

async function keeps(golden: string, line: readonly string[], engine: Partial<FailoverEngine>): Promise<number> {
  const engines: Partial<Engines> = { failover: { ...none, ...engine } };
  const people = recordedFrame();
  const status = await runCli(line, allVerbs(engines), people);
  assert.equal(people.stderr.written(), "");
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line, "--json"], allVerbs(engines), programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

const healthy: CheckReport = {
  stack: "catalog",
  at: "2026-11-26T12:00:00.000Z",
  state: "healthy",
  primary: "db",
  epoch: 3,
  timeline: 2,
  durability: "quorum",
  maintenance: false,
  action: null,
  candidate: null,
  automatic: false,
  loss: null,
  reasons: [],
  against: [],
  offers: [],
  costs: [{ candidate: "db_replica", seenAgoMs: 40, found: [] }],
  nodes: [
    { name: "db", state: "primary", timeline: 2, flushed: "0/5000060", replayed: null, candidate: false },
    { name: "db_replica", state: "standby", timeline: 2, flushed: "0/5000060", replayed: "0/5000060", candidate: true },
  ],
  receiver: { state: "follows db", flushed: "0/5000000", confirms: true },
  poolers: [{ name: "127.0.0.1:5435", mode: "serving", target: "db", problem: null }],
};

const gone = {
  code: "nobody-listens",
  node: "db",
  says: "its machine answers and nobody listens on its port",
  facts: {},
};

const slotMissing = {
  code: "slot-missing",
  of: "orders_cdc",
  says: "logical slot orders_cdc is not on db_replica",
  remedy: "Make it anew there.",
} as const;

const collationChanged = {
  code: "collation-changed",
  of: "catalog",
  says: "text in database catalog was sorted by another version",
  remedy: "REINDEX.",
} as const;

const promotable: CheckReport = {
  ...healthy,
  state: "promotable",
  candidate: "db_replica",
  automatic: true,
  loss: { possible: false, bytesMax: 0, writesMax: 0, seenAgoMs: null },
  reasons: [gone],
  costs: [{ candidate: "db_replica", seenAgoMs: 7_200, found: [slotMissing, collationChanged] }],
  against: [{ code: "witness-silent", node: null, says: "the vault's receiver does not answer", facts: {} }],
};

const loss = { possible: true, bytesMax: 8_192, writesMax: null, seenAgoMs: 1_200 };

const blocked: CheckReport = {
  ...healthy,
  state: "blocked",
  reasons: [
    gone,
    { code: "loss-possible", node: "db_replica", says: "acknowledged commits may be missing on it", facts: {} },
  ],
  offers: [
    { kind: "accept-loss", candidate: "db_replica", loss },
    { kind: "restore-from-vault", candidate: null, loss: null },
  ],
  action: "failover from db to db_replica, preparing",
  poolers: [{ name: "127.0.0.1:5435", mode: "does not answer", target: null, problem: "out of reach" }],
};

const second: CheckReport = {
  ...healthy,
  state: "hold",
  reasons: [
    { code: "second-primary", node: "db_replica", says: "it acknowledges writes", facts: { timeline: 2 } },
    gone,
  ],
};

const undriven: CheckReport = {
  ...healthy,
  reasons: [
    {
      code: "pooler-undriven",
      node: null,
      says: "a pooler cannot be driven",
      facts: { pooler: "127.0.0.1:5435", because: "databases.ini is not understood" },
    },
  ],
  poolers: [
    { name: "127.0.0.1:5435", mode: "does not answer", target: null, problem: "databases.ini is not understood" },
  ],
};

const CHECK = ["failover", "--check-only"];

test("a check says who would take over, what would be lost and what stands in the way, and ends with a status for each", async () => {
  const check = (report: CheckReport) => ({ check: async () => report });
  assert.equal(await keeps("failover-healthy", CHECK, check(healthy)), 0);
  assert.equal(await keeps("failover-promotable", CHECK, check(promotable)), 10);
  assert.equal(await keeps("failover-blocked", CHECK, check(blocked)), 11);
  assert.equal(await keeps("failover-second-primary", CHECK, check(second)), 11);
  assert.equal(await keeps("failover-undriven", CHECK, check(undriven)), 11);
  assert.equal(await keeps("failover-unwatched", CHECK, check(unwatched(healthy, { daemon: true }))), 11);
  const uncounted = { ...healthy, nodes: healthy.nodes.map((node) => ({ ...node, candidate: false })) };
  assert.equal(await keeps("failover-not-counted", CHECK, check(unwatched(uncounted, { daemon: false }))), 11);
  assert.equal(await keeps("failover-promotable-unwatched", CHECK, check(unwatched(promotable, { daemon: true }))), 10);
  for (const [state, status] of [
    ["hold", 11],
    ["lost-quorum", 11],
    ["suspect", 12],
    ["unknown", 12],
  ] as const) {
    const frame = recordedFrame();
    const engines = { failover: { ...none, ...check({ ...healthy, state }) } };
    assert.equal(await runCli(CHECK, allVerbs(engines), frame), status, state);
  }
});

test("who follows is told every other decision, and nothing twice", async () => {
  const engine: Partial<FailoverEngine> = {
    check: async ({ follow }) => {
      follow?.(healthy);
      follow?.(promotable);
      return promotable;
    },
  };
  const frame = recordedFrame();
  const line = [...CHECK, "--follow", "--json"];
  assert.equal(await runCli(line, allVerbs({ failover: { ...none, ...engine } }), frame), 10);
  const lines = frame.stdout.written().trim().split("\n");
  assert.deepEqual(
    lines.map((text) => (JSON.parse(text) as CheckReport).state),
    ["healthy", "promotable"],
  );
});

test("a promotion says who took over, and takes the loss as it was typed", async () => {
  const typed: (string | undefined)[] = [];
  const engine: Partial<FailoverEngine> = {
    promote: async ({ acceptLoss }) => {
      typed.push(acceptLoss);
      const shortcomings = ["127.0.0.1:5435: it does not answer"];
      const reportFile = "/var/lib/lifeboat/stacks/catalog/controller/reports/000004-failover.json";
      return { done: true, epoch: 4, from: "db", to: "db_replica", shortcomings, outageMs: 1_234, reportFile };
    },
  };
  assert.equal(await keeps("failover-promoted", ["failover", "--promote"], engine), 0);
  const frame = recordedFrame();
  const line = ["failover", "--promote", "--accept-loss", "8192 bytes"];
  await runCli(line, allVerbs({ failover: { ...none, ...engine } }), frame);
  assert.deepEqual(typed, [undefined, undefined, "8192 bytes"]);
});

test("an adoption says who is the primary now, and what becomes of the other", async () => {
  const done = { done: true, epoch: 9, shortcomings: [], outageMs: null, reportFile: null };
  const asked: string[] = [];
  const engine: Partial<FailoverEngine> = {
    adopt: async ({ node }) => {
      asked.push(node);
      return { ...done, from: "db", to: node };
    },
  };
  assert.equal(await keeps("failover-adopted", ["failover", "--adopt", "db_replica"], engine), 0);
  assert.equal(await keeps("failover-adopted-recorded", ["failover", "--adopt", "db"], engine), 0);
  assert.deepEqual(new Set(asked), new Set(["db_replica", "db"]));
});

test("options that do not go together are refused before anything is asked", async () => {
  for (const line of [
    ["failover"],
    ["failover", "--check-only", "--promote"],
    ["failover", "--promote", "--follow"],
    ["failover", "--check-only", "--accept-loss", "unknown"],
    ["failover", "--promote", "--adopt", "db"],
    ["failover", "--adopt", "db", "--accept-loss", "unknown"],
  ]) {
    const frame = recordedFrame();
    assert.equal(await runCli(line, allVerbs({ failover: none }), frame), EXIT.usage, line.join(" "));
  }
});

test("a switchover says what it did, what it would do, or what stands in its way", async () => {
  const to = ["switchover", "--to", "db_replica"];
  const done = {
    done: true,
    epoch: 5,
    from: "db",
    to: "db_replica",
    shortcomings: [],
    outageMs: 180,
    reportFile: null,
  };
  assert.equal(await keeps("switchover", to, { switchover: async () => done }), 0);
  const plan = [
    ["every pooler can log in to the new primary"],
    ["clients wait instead of failing", "the record says what is under way"],
  ];
  const ready = async () => ({ plan, blockedBy: [], costs: [collationChanged], accept: null });
  assert.equal(await keeps("switchover-plan", [...to, "--dry-run"], { switchover: ready }), 0);
  const refused = async () => ({ plan: [], blockedBy: ["db_replica: replica-not-connected"], costs: [], accept: null });
  assert.equal(await keeps("switchover-refused", [...to, "--dry-run"], { switchover: refused }), 11);
  const costly = async () => ({
    plan,
    blockedBy: [],
    costs: [slotMissing, collationChanged],
    accept: "it's, orders_cdc",
  });
  assert.equal(await keeps("switchover-costly", [...to, "--dry-run"], { switchover: costly }), 11);
  const typed: (string | undefined)[] = [];
  const takes: FailoverEngine["switchover"] = async ({ accept }) => {
    typed.push(accept);
    return done;
  };
  for (const more of [[], ["--accept", "orders_cdc"]]) {
    await runCli([...to, ...more], allVerbs({ failover: { ...none, switchover: takes } }), recordedFrame());
  }
  assert.deepEqual(typed, [undefined, "orders_cdc"]);
});

test("a rebuild says by which force, and maintenance that it began and ended", async () => {
  const rebuild: FailoverEngine["rebuild"] = async ({ node }) => ({ node, did: "delta", durationMs: 2_900 });
  assert.equal(await keeps("rebuild", ["rebuild", "db"], { rebuild }), 0);
  const putBack: FailoverEngine["putBack"] = async ({ node, folder }) => {
    return { folder, keptAt: "2026-11-26T12:00:00.000Z", aside: `/state/aside/${node}-1` };
  };
  assert.equal(await keeps("rebuild-old-data", ["rebuild", "db", "--old-data-into", "/tmp/old"], { putBack }), 0);
  const asked: unknown[] = [];
  const setMaintenance: FailoverEngine["setMaintenance"] = async ({ paused, reason }) => {
    asked.push([paused, reason]);
    return { ...healthy, maintenance: paused };
  };
  await keeps("failover-pause", ["failover", "pause", "--reason", "new disks"], { setMaintenance });
  await keeps("failover-resume", ["failover", "resume"], { setMaintenance });
  assert.deepEqual(
    asked.filter((_, index) => index % 2 === 0),
    [
      [true, "new disks"],
      [false, ""],
    ],
  );
});
