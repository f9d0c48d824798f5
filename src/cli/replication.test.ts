import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { type RecordedFrame, recordedFrame, recordedSink } from "../../test/support/recorded-frame.ts";
import { awayReceiver, lagOf, streamingReceiver, streamingReplica } from "../../test/support/replication-views.ts";
import { EXIT } from "../errors/entry.ts";
import type { Instant } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import type { ReplicationView } from "../replication/decide.ts";
import type { WatchReplication } from "./replication.ts";
import { runCli } from "./run.ts";

const well: ReplicationView = {
  at: Date.UTC(2026, 0, 1) as Instant,
  primaries: ["db"],
  timeline: 1 as Timeline,
  end: 0x3000060n as Lsn,
  nodes: [{ kind: "primary", name: "db", timeline: 1 as Timeline, end: 0x3000060n as Lsn, senders: [], slots: [] }],
  confirmers: [streamingReplica, streamingReceiver],
  faults: [],
};

const wrong: ReplicationView = {
  ...well,
  confirmers: [
    {
      ...streamingReplica,
      replayPaused: true,
      lag: { ...streamingReplica.lag, replay: lagOf(2_097_152, 65_000, true) },
    },
    awayReceiver,
  ],
  faults: [{ code: "disconnected", of: "lifeboat_vault", message: "lifeboat_vault is not connected", remedy: "Look." }],
};

/** Shows some views, then is stopped. */
function watching(...views: readonly ReplicationView[]): WatchReplication {
  return async ({ onView }) => {
    for (const view of views) onView(view);
  };
}

async function run(line: string, watch: WatchReplication, frame: RecordedFrame = recordedFrame()) {
  const status = await runCli(line.split(" "), allVerbs({ watchReplication: watch }), frame);
  assert.equal(frame.stderr.written(), "");
  return { status, out: frame.stdout.written() };
}

test("one look, for people and for programs, with status 5 when something is wrong", async () => {
  for (const [golden, view, expected] of [
    ["replication", well, 0],
    ["replication-wrong", wrong, EXIT.damaged],
  ] as const) {
    const people = await run("replication --once", watching(view));
    assert.equal(people.status, expected);
    matchesGolden(`results/${golden}.txt`, people.out);
    const programs = await run("replication --once --json", watching(view));
    assert.equal(programs.status, expected);
    matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.out), null, 2)}\n`);
  }
});

test("watching prints lines that a log can keep, and ends with the status of the last look", async () => {
  const recovered = await run("replication", watching(wrong, well));
  assert.equal(recovered.status, 0);
  matchesGolden("results/replication-lines.txt", recovered.out);
  assert.equal((await run("replication", watching(well, wrong))).status, EXIT.damaged);
});

test("watching for programs prints one JSON value a line, and nothing after the last", async () => {
  const { out } = await run("replication --json", watching(well, wrong));
  const values = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    values.map(({ standbys }) => standbys[1].lag.flush.seconds),
    [0, -1],
  );
});

test("on a terminal each look takes the place of the one before", async () => {
  const frame = recordedFrame({ stdout: recordedSink({ isTerminal: true, columns: 120 }) });
  const { out } = await run("replication --no-color", watching(well, well), frame);
  assert.ok(out.includes("\u001b[7A\r\u001b[J2026"), JSON.stringify(out));
});

test("the engine is told how often, or once, and where the metrics go", async () => {
  const calls: unknown[] = [];
  const watch: WatchReplication = async ({ intervalMs, metricsFile, onView }) => {
    calls.push([intervalMs, metricsFile]);
    onView(well);
  };
  await run("replication --once", watch);
  await run("replication --interval 15s --metrics /tmp/x.prom", watch);
  await run("replication", watch);
  assert.deepEqual(calls, [
    [undefined, undefined],
    [15_000, "/tmp/x.prom"],
    [2_000, undefined],
  ]);
});

test("a watch that is stopped before its first look has seen nothing good", async () => {
  assert.equal((await run("replication", watching())).status, EXIT.damaged);
});
