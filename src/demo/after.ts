/**
 * The second half of the demo's story: the disaster, the recovery to the newest point, the proof of every acknowledged
 * write, and the recovery to just before the mistake.
 */
import { assert } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import type { LocalServer } from "../postgres/server.ts";
import { type LedgerRecord, readLedger } from "../probe/ledger.ts";
import type { ProbeReport } from "../probe/measurements.ts";
import { judgeUnexpected, type ReadBack, readBack } from "../probe/read-back.ts";
import { describeDuration } from "../units/duration.ts";
import { DELETED_TABLE, type Deletion, lookAtTable } from "./deletion.ts";
import { type Outage, resume, type Scene, strike } from "./disaster.ts";
import { type DeletionFacts, type RecoveryFacts, recoveryOf, type WriteFacts } from "./facts.ts";
import { restoreServer } from "./restoring.ts";
import { DATABASE } from "./servers.ts";
import { count, MOMENT_MS, type Stage, timeOf } from "./stage.ts";

/** The client's clock and the server's are one, read in whole milliseconds by both. */
const CLOCK_SLACK_MS = 10;

/** Lets everything be lost, and says so. */
export async function haveDisaster(stage: Stage, scene: Scene): Promise<Outage> {
  const { signal, say } = stage;
  const outage = await strike(scene, { signal });
  const { okCount, latency } = outage.before.writes;
  say(
    `${count(okCount)} writes acknowledged so far, half of them within ${describeDuration(latency.p50Ms)}, 99% within ${describeDuration(latency.p99Ms)}`,
  );
  say(
    `DISASTER at ${timeOf(outage.killedMs)}: SIGKILL to the server and to the receiver, the data directory is deleted`,
  );
  say(`noticed: the client's writes fail (${outage.reason})`);
  return outage;
}

/** Restores to the newest point and lets the client write again. */
export async function recover(
  stage: Stage,
  scene: Scene,
  outage: Outage,
): Promise<{ readonly restored: LocalServer; readonly readyMs: number; readonly recovery: RecoveryFacts }> {
  const { tools, kit, place, passphrase, settings, made, signal, say } = stage;
  const restored = await restoreServer(
    kit,
    {
      systemId: scene.systemId,
      target: { kind: "latest" },
      dataFolder: place.restored,
      passphrase,
      bootTimeoutMs: settings.bootTimeoutMs,
      progress: tools.progress,
      made,
      signal,
    },
    outage.noticedAt,
  );
  say(
    `restored to the newest point from the vault and the spool; the new server accepts connections on port ${restored.server.setup.port}`,
  );
  const recovery = await resume(scene, outage, restored, { signal });
  say(`the client writes again: ${describeDuration(recovery.totalMs)} after its first failed request`);
  await tools.clock.sleep(MOMENT_MS, { signal });
  return { restored: restored.server, readyMs: stage.wall.at(restored.readyAt), recovery };
}

/** Stops the client and looks every acknowledged write up on the restored server. */
export async function proveWrites(
  stage: Stage,
  after: {
    readonly scene: Scene;
    readonly outage: Outage;
    readonly restored: LocalServer;
    /** Nothing can have been acknowledged between the kill and this moment. */
    readonly readyMs: number;
  },
): Promise<WriteFacts> {
  const { tools, place, signal, say, choice } = stage;
  const report = await after.scene.client.stop({ signal });
  tools.progress({ phase: "reading every acknowledged write back" });
  const connect = after.restored.address({ database: DATABASE });
  const found = await readBack(tools.files, { connect, ledgerFile: place.ledgerFile, signal });
  const { records } = await readLedger(tools.files, place.ledgerFile);
  assert(found.acknowledged === records.length, "the ledger was read whole");
  const facts = writeFactsOf({ ...after, report, found, records });
  const span = describeDuration(facts.missingSpanMs);
  const loss = facts.missing === 0 ? "0 are missing" : `${count(facts.missing)} ARE MISSING, of the last ${span}`;
  const expected = facts.missing > 0 && choice.durability === "async" ? "; async durability promises no more" : "";
  say(`every one of the ${count(records.length)} acknowledged writes was looked up, byte by byte: ${loss}${expected}`);
  return facts;
}

function writeFactsOf(seen: {
  readonly outage: Outage;
  readonly readyMs: number;
  readonly report: ProbeReport;
  readonly found: ReadBack;
  readonly records: readonly LedgerRecord[];
}): WriteFacts {
  const { outage, report, found } = seen;
  const early = seen.records.filter((record) => record.acknowledgedAt < seen.readyMs);
  const missing = new Set(found.missing);
  const oldestMissingMs = early
    .filter((record) => missing.has(record.sequence))
    .reduce((oldest, record) => Math.min(oldest, record.acknowledgedAt), outage.killedMs);
  return {
    acknowledged: early.length,
    missing: missing.size,
    damaged: found.damaged.length,
    missingSpanMs: Math.round(outage.killedMs - oldestMissingMs),
    unknown: report.writes.unknownCount,
    unknownPresent: judgeUnexpected(found, report).unknownPresent,
    acknowledgedAfter: seen.records.length - early.length,
    latencyP50Ms: outage.before.writes.latency.p50Ms,
    latencyP99Ms: outage.before.writes.latency.p99Ms,
  };
}

/** Restores once more, into another folder, to just before the mistake, and shows the rows. */
export async function undoMistake(
  stage: Stage,
  from: { readonly scene: Scene; readonly mistake: Deletion; readonly rowsAtNewestPoint: number },
): Promise<{ readonly server: LocalServer; readonly facts: DeletionFacts }> {
  const { tools, kit, place, passphrase, settings, made, signal, say } = stage;
  const { mistake } = from;
  const { server, parts, readyAt } = await restoreServer(
    kit,
    {
      systemId: from.scene.systemId,
      target: { kind: "time", time: mistake.before, inclusive: true },
      dataFolder: place.beforeDelete,
      passphrase,
      bootTimeoutMs: settings.bootTimeoutMs,
      progress: tools.progress,
      made,
      signal,
    },
    tools.clock.monotonic(),
  );
  const { held, samples } = await lookAtTable(server, { signal });
  const recovery = recoveryOf([...parts, { what: "read the rows", durationMs: tools.clock.monotonic() - readyAt }]);
  const found = await readBack(tools.files, {
    connect: server.address({ database: DATABASE }),
    ledgerFile: place.ledgerFile,
    signal,
  });
  const { records } = await readLedger(tools.files, place.ledgerFile);
  const early = new Set(
    records
      .filter((record) => record.acknowledgedAt < mistake.before - CLOCK_SLACK_MS)
      .map((record) => record.sequence),
  );
  const same = held.rows === mistake.held.rows && held.checksum === mistake.held.checksum;
  say(
    `restored again, to ${timeOf(mistake.before)}, just before the mistake, on port ${server.setup.port}: ${count(held.rows)} of ${count(mistake.deletedRows)} rows are there${same ? ", the same to the last byte" : ", BUT NOT THE SAME"}`,
  );
  return {
    server,
    facts: {
      table: DELETED_TABLE,
      before: formatInstant(mistake.before),
      deletedRows: mistake.deletedRows,
      rowsAtNewestPoint: from.rowsAtNewestPoint,
      foundRows: held.rows,
      same,
      samples,
      durationMs: recovery.totalMs,
      parts: recovery.parts,
      acknowledgedBefore: early.size,
      missing: found.missing.filter((sequence) => early.has(sequence)).length,
    },
  };
}
