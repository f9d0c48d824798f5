import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { Epoch, JournalEntry } from "../failover/ports.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { parseLsn } from "../postgres/lsn.ts";
import type { EventReport } from "./report.ts";
import { Reporter } from "./reporter.ts";

const CALL = { timeoutMs: 1_000 };
const FORK = parseLsn("0/3000050");

const COST = { code: "slot-missing", of: "cdc", says: "slot cdc is missing", remedy: "Make it anew." } as const;

function reporterIn(folder: string): Reporter {
  return new Reporter(
    { append: async () => undefined },
    {
      files: systemFiles,
      clock: systemClock,
      folder,
      stack: "shop",
      journalHead: () => "ab",
      timelineStart: async (node) => (node === "db_replica" ? FORK : undefined),
      clientErrors: async () => ({
        errors: [
          { reason: "pgb-server-crashed", executed: "perhaps", count: 3 },
          { reason: "pgb-login-failing", executed: "no", count: 1 },
        ],
        complete: true,
      }),
      costs: async () => ({ seenAgoMs: 7, found: [COST] }),
      notice: () => undefined,
    },
  );
}

async function failOver(reporter: Reporter, loss: object): Promise<void> {
  const tell = (kind: JournalEntry["kind"], name: string, facts: JournalEntry["facts"]): Promise<void> =>
    reporter.append({ epoch: 8 as Epoch, kind, name, facts }, CALL);
  const positions = [{ of: "db", timeline: 1, flushed: parseLsn("0/3000060"), whole: undefined, seenAgoMs: 9 }];
  await tell("decision", "promotable", { loss, positions });
  await tell("intent", "failover", { from: "db", to: "db_replica" });
  await tell("outcome", "failover", { shortcomings: [] });
}

async function inFolder(work: (folder: string, read: () => Promise<EventReport>) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-reports-"));
  try {
    await work(folder, async () => JSON.parse(await readFile(path.join(folder, "000008-failover.json"), "utf8")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("what an old primary had alone goes into the report of the failover that replaced it, by a later daemon too", async () => {
  await inFolder(async (folder, read) => {
    const first = reporterIn(folder);
    await failOver(first, { kind: "possible" });
    await first.last();
    const { gap, lost, clients, costs } = await read();
    assert.deepEqual(costs, { seenAgoMs: 7, found: [COST] });
    assert.match(
      await readFile(path.join(folder, "000008-failover.txt"), "utf8"),
      /slot cdc is missing. Make it anew./,
    );
    assert.deepEqual([clients?.failed, clients?.unknown, clients?.complete], [1, 3, true]);
    assert.deepEqual(clients?.errors[0], { reason: "pgb-server-crashed", outcome: "unknown", count: 3 });
    assert.deepEqual([gap?.promotedAt, gap?.bytes, lost.acknowledged], ["0/3000050", 16, null]);
    const later = reporterIn(folder);
    later.noteBeyond({ node: "db", fork: FORK, end: parseLsn("0/3000060"), commits: 2 });
    assert.deepEqual((await later.last())?.report.lost, {
      acknowledged: 2,
      basis: "counted",
      commitsBeyond: 2,
      bytesBeyond: 16,
    });
    assert.equal((await read()).lost.acknowledged, 2);
    assert.match(await readFile(path.join(folder, "000008-failover.txt"), "utf8"), /lost: 2 \(counted\)/);
  });
});

test("what is found on another node, or beyond another fork, is not of this failover; without a report nothing is said", async () => {
  await inFolder(async (folder, read) => {
    const reporter = reporterIn(folder);
    reporter.noteBeyond({ node: "db", fork: FORK, end: FORK, commits: 1 });
    assert.equal(await reporter.last(), undefined);
    await failOver(reporter, { kind: "none" });
    reporter.noteBeyond({ node: "db_replica", fork: FORK, end: FORK, commits: 1 });
    reporter.noteBeyond({ node: "db", fork: parseLsn("0/3000000"), end: FORK, commits: 1 });
    await reporter.last();
    const { lost } = await read();
    assert.deepEqual([lost.acknowledged, lost.basis, lost.commitsBeyond], [0, "proven", null]);
  });
});
