import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { withFolder } from "../../test/support/backups.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { formatDatabases } from "../pooler/databases-file.ts";
import type { PoolerState } from "../pooler/pooler.ts";
import type { PoolerEngine, SeenPooler } from "./pooler.ts";
import { runCli } from "./run.ts";
import { VERBS } from "./verbs.ts";

const serving: PoolerState = {
  version: { major: 1, minor: 18, patch: 0 },
  epoch: 0,
  mode: "serving",
  hold: undefined,
  pausedDatabases: [],
  clientsWaiting: 0,
  waitMs: 0,
  serversActive: 3,
  serversIdle: 12,
  serversLoggingIn: 0,
  databases: [{ name: "catalog", server: { host: "127.0.0.1", port: 5432 } }],
};
const paused: PoolerState = {
  ...serving,
  epoch: 7,
  mode: "paused",
  hold: { epoch: 7, turn: 3, holdMs: 5_000, pausedAt: Date.UTC(2025, 11, 31, 23, 59, 48) },
  clientsWaiting: 40,
  waitMs: 11_900,
  serversActive: 0,
  serversIdle: 0,
};
const byHand: PoolerState = { ...paused, hold: undefined, pausedDatabases: ["catalog"] };
const reason = new LifeboatError("pooler.unreachable", { message: "nobody listens there", remedy: "Start it." });

function looking(seen: readonly SeenPooler[]): PoolerEngine {
  return { look: async () => seen, resume: async () => ["127.0.0.1:5435"], watch: async () => undefined };
}

function of(name: string, state: PoolerState): SeenPooler {
  return { name, seen: { kind: "state", state } };
}

/** Runs a line for people and for programs, and keeps both. */
async function keeps(golden: string, line: string, poolers: PoolerEngine): Promise<number> {
  const people = recordedFrame();
  const status = await runCli(line.split(" "), allVerbs({ poolers }), people);
  assert.equal(people.stderr.written(), "");
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line.split(" "), "--json"], allVerbs({ poolers }), programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

test("poolers are shown with who has them paused, and anything but serving is a status of its own", async () => {
  const well = looking([of("127.0.0.1:5435", serving)]);
  assert.equal(await keeps("pooler-status", "pooler status", well), 0);
  const many = looking([
    of("127.0.0.1:5435", paused),
    of("127.0.0.1:5436", byHand),
    of("127.0.0.1:5437", { ...paused, mode: "ending" }),
    { name: "127.0.0.1:5438", seen: { kind: "unreachable", reason } },
  ]);
  assert.equal(await keeps("pooler-status-paused", "pooler status", many), EXIT.world);
  assert.equal(await keeps("pooler-resume", "pooler resume", well), 0);
});

test("poolers that lead a database to different servers are a status of its own, though all of them serve", async () => {
  const [database] = serving.databases;
  assert.ok(database !== undefined);
  const elsewhere = { ...database, server: { ...database.server, port: database.server.port + 1 } };
  const parted = looking([of("127.0.0.1:5435", serving), of("127.0.0.1:5436", { ...serving, databases: [elsewhere] })]);
  assert.equal(await keeps("pooler-status-parted", "pooler status", parted), EXIT.world);
  // Of one pooler they may.
  const two = looking([of("127.0.0.1:5435", { ...serving, databases: [database, { ...elsewhere, name: "other" }] })]);
  assert.equal(await runCli(["pooler", "status"], allVerbs({ poolers: two }), recordedFrame()), 0);
});

test("without a pooler in the configuration there is none, and one that does not answer is shown as that", async () => {
  const none = recordedFrame();
  assert.equal(await runCli(["pooler", "status"], VERBS, none), EXIT.usage);
  assert.match(none.stderr.written(), /no pooler is configured/);
  await withFolder(async (folder) => {
    const file = path.join(folder, "databases.ini");
    const server = { host: "127.0.0.1", port: 5432 };
    await writeFile(file, formatDatabases({ epoch: 0, databases: [{ name: "a", database: "a", server }] }));
    const nobody = ["--pooler-consoles", "127.0.0.1:1", "--pooler-databases-file", file];
    const status = recordedFrame();
    assert.equal(await runCli(["pooler", "status", ...nobody], VERBS, status), EXIT.world);
    assert.match(status.stdout.written(), /not reached/);
    const resume = recordedFrame();
    assert.equal(await runCli(["pooler", "resume", ...nobody], VERBS, resume), EXIT.world);
    assert.match(resume.stderr.written(), /pooler\.not-all/);
    const stopping = AbortSignal.timeout(100);
    const watch = recordedFrame({ signal: stopping, clock: systemClock });
    assert.equal(await runCli(["pooler", "watch", ...nobody], VERBS, watch), 0);
    assert.match(watch.stderr.written(), /watching 127\.0\.0\.1:1/);
  });
});
