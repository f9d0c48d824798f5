import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { awayReceiver, lagOf, streamingReplica } from "../../test/support/replication-views.ts";
import type { Instant } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import type { ConfirmerView, Lag, ReplicationView } from "./decide.ts";
import { formatMetrics, writeMetrics } from "./metrics.ts";

const replica: ConfirmerView = {
  ...streamingReplica,
  lag: { write: lagOf(0, 0), flush: lagOf(56, 3.2), replay: lagOf(1_048_576, 2_004.4) },
  conflicts: { lock: 2, deadlock: 0 },
};

const view: ReplicationView = {
  at: Date.UTC(2026, 0, 1, 0, 0, 0, 500) as Instant,
  primaries: ["db"],
  timeline: 1 as Timeline,
  end: 0x3000060n as Lsn,
  nodes: [
    { kind: "primary", name: "db", timeline: 1 as Timeline, end: 0x3000060n as Lsn, senders: [], slots: [] },
    { kind: "unreachable", name: "db_replica", code: "postgres.timeout", message: "no answer" },
  ],
  confirmers: [replica, awayReceiver],
  faults: [{ code: "disconnected", of: "lifeboat_vault", message: "m", remedy: "r" }],
};

/** Every line is a comment of a known form or one sample, every sample's metric was declared once, right before it. */
function assertExposition(text: string): void {
  assert.ok(text.endsWith("\n"));
  const declared = new Set<string>();
  let current = "";
  for (const line of text.trimEnd().split("\n")) {
    const help = /^# HELP ([a-z_]+) \S.*$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (?:gauge|counter)$/.exec(line);
    if (help !== null) {
      assert.equal(declared.has(help[1] ?? ""), false, line);
      current = help[1] ?? "";
      declared.add(current);
    } else if (type !== null) assert.equal(type[1], current);
    else {
      const sample = /^([a-z_]+)(?:\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})? -?\d+(?:\.\d+)?$/.exec(line);
      assert.equal(sample?.[1], current, line);
    }
  }
}

test("the text is what the collector reads, with the runbook's own names and -1 for who is not connected", () => {
  const text = formatMetrics(view);
  assertExposition(text);
  matchesGolden("metrics/replication.prom", text);
  assert.match(text, /^pg_replication_lag_seconds\{standby="db_replica"\} 2\.004$/m);
  assert.match(text, /^pg_replication_status\{standby="db_replica"\} 1$/m);
  assert.match(text, /^lifeboat_replication_lag_bytes\{standby="lifeboat_vault",stage="flush"\} -1$/m);
});

test("a replica that is not connected has a lag of -1 and a status of 0 under the runbook's names", () => {
  const text = formatMetrics({ ...view, confirmers: [{ ...awayReceiver, kind: "replica", name: "db_replica" }] });
  assertExposition(text);
  assert.match(text, /^pg_replication_lag_seconds\{standby="db_replica"\} -1$/m);
  assert.match(text, /^pg_replication_status\{standby="db_replica"\} 0$/m);
});

test("what is not known has no sample, and a metric without samples is left out", () => {
  const unknown: Lag = { kind: "unknown" };
  const unseen = { ...replica, lag: { write: unknown, flush: unknown, replay: unknown }, slotView: undefined };
  const text = formatMetrics({ ...view, confirmers: [unseen], timeline: undefined, end: undefined });
  assertExposition(text);
  assert.doesNotMatch(text, /lag|slot|timeline/);
});

test("a name with quotes and line ends is still one label", () => {
  const text = formatMetrics({ ...view, confirmers: [{ ...replica, name: 'a"b\\c\nd' }] });
  assertExposition(text);
  assert.match(text, /standby="a\\"b\\\\c\\nd"/);
});

test("the file is replaced as a whole, can be read by everybody, and leaves nothing beside it", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "lifeboat_replication.prom");
    const tools = { files: systemFiles, random: systemRandom };
    await writeMetrics(tools, file, view);
    await writeMetrics(tools, file, { ...view, faults: [] });
    assert.equal((await systemFiles.readFile(file)).toString("utf8"), formatMetrics({ ...view, faults: [] }));
    assert.equal((await stat(file)).mode & 0o777, 0o644);
    assert.deepEqual(await readdir(folder), ["lifeboat_replication.prom"]);
  });
});
