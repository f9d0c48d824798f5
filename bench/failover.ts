/**
 * `bench failover`: what clients of a whole stack get while its parts are killed, frozen and moved.
 *
 * Nouns: a *fault* is what is done to the stack; a *run* is one fault under the load of the probe, from a whole stack to a
 * whole stack; after a failover the next run finds the roles swapped.
 * Invariants: the load is open loop, 200 writes and 200 reads a second through the stack's PgBouncer, and begins before the
 * fault at a moment drawn at random; every acknowledged write is read back; a run that was measured is kept, and the
 * benchmark goes on after an interruption with what is missing.
 */
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../src/platform/clock.ts";
import { systemFiles } from "../src/platform/files.ts";
import { systemProcesses } from "../src/platform/processes.ts";
import { systemRandom } from "../src/platform/random.ts";
import type { ProbeReport } from "../src/probe/measurements.ts";
import { type ProbeControls, type ProbeResult, runProbe } from "../src/probe/run.ts";
import type { NodeName } from "../src/stack/node-settings.ts";
import { type FailoverRequest, type FailoverRun, type Fault, notOkOf, remaining } from "./failover-plan.ts";
import { failoverReport } from "./failover-report.ts";
import type { FailoverStack } from "./failover-stack.ts";
import { Stop } from "./machine.ts";
import type { Report } from "./report.ts";
import { type Measured, outcomeOf, type ResumePlace, resumeRuns } from "./resumed-runs.ts";
import type { Place } from "./workload.ts";

const PROBE_ENTRY = path.join(import.meta.dirname, "../src/probe/main.ts");
const LANES = 20;
/** Connections are warm and the phase of every timer is another: the fault comes after 2 to 4 s of load. */
const WARM_UP_MS = 2_000;
const PHASE_MS = 2_000;
/** So long without a failure, and with answers, is well again. */
const STABLE_MS = 2_000;
/** A failure later than this has another cause. */
const OBSERVE_MIN_MS = 4_000;
const RECOVERY_TIMEOUT_MS = 120_000;
const LOOK_MS = 100;

type Call = { readonly signal: AbortSignal };

/** Runs what is missing of the request and reports on all of it. */
export async function benchFailover(request: FailoverRequest, at: ResumePlace, call: Call): Promise<Report> {
  const { durability, ratePerSecond, mib } = request;
  const { runs, versions } = await resumeRuns(
    at,
    {
      file: `failover-${durability}-${ratePerSecond}-${mib}mib.jsonl`,
      conditions: { durability, ratePerSecond, mib },
      request,
      missing: (done: readonly FailoverRun[]) => remaining(request, done),
      begin: async (stack, place) => async (wanted) => {
        const measured = await measureRun({ place, stack, ...wanted, request }, call);
        const { run } = measured;
        const { writeOutageS, lost, odd, primaryBefore, primaryAfter } = run;
        const moved = primaryBefore === primaryAfter ? "" : `, ${primaryBefore} to ${primaryAfter}`;
        console.log(
          `outage ${writeOutageS.toFixed(2)} s, not ok ${notOkOf(run)}, lost ${lost === undefined ? "unknown" : lost + odd}${moved}`,
        );
        if (run.problem !== undefined) console.log(`  ${run.problem.replaceAll("\n", "\n  ")}`);
        return measured;
      },
    },
    call,
  );
  return failoverReport(runs, { request, versions });
}

type At = {
  readonly place: Place;
  readonly stack: FailoverStack;
  readonly fault: Fault;
  readonly number: number;
  readonly request: FailoverRequest;
};

/** Rejects only where no fault was injected yet, or when it is stopped: what comes after a fault is a result. */
async function measureRun(at: At, call: Call): Promise<Measured<FailoverRun>> {
  const { place, stack, fault, number, request } = at;
  const before = await stack.untilWhole(call);
  let latest: ProbeReport | undefined;
  let disturbed: Promise<string | undefined> = Promise.resolve(undefined);
  const probing = runProbe(
    {
      clock: systemClock,
      files: systemFiles,
      processes: systemProcesses,
      random: systemRandom,
      node: process.execPath,
      entry: PROBE_ENTRY,
    },
    {
      probe: {
        connect: await stack.application(),
        clientId: systemRandom(16).toString("hex"),
        writesPerSecond: request.ratePerSecond,
        readsPerSecond: request.ratePerSecond,
        laneCount: LANES,
        queueDeadlineMs: fault.deadlineMs,
        answerDeadlineMs: fault.deadlineMs,
      },
      ledgerFile: path.join(place.runFolder, `ledger-${fault.name}-${number}-${Date.now()}`),
      seconds: undefined,
      keep: false,
      signal: call.signal,
      abandon: call.signal,
      onRunning: (controls) => {
        disturbed = disturb(at, { before, controls, latest: () => latest }, call).finally(controls.stop);
        // It is waited for below; by then it may have failed long ago.
        disturbed.catch(() => undefined);
      },
      onReport: (report) => {
        latest = report;
      },
      // Rows that stay are in the way of nothing: every run writes as a client of its own.
      onLeft: () => undefined,
    },
  );
  const probed = await outcomeOf(probing, call);
  const disturbance = await outcomeOf(disturbed, call);
  const report = probed.value?.report ?? latest;
  if (report?.label !== fault.name) throw probed.error ?? disturbance.error ?? new Stop(`no load: ${fault.title}`);
  const begun = performance.now();
  const after = (await stack.primary(call)) ?? "none";
  const healed = await outcomeOf(stack.heal(fault.name, before, call), call);
  const healMs = performance.now() - begun;
  const event = await stack.eventSince(report.writes.window.beganMs);
  const rebuild = await stack.rebuildSince(before, report.writes.window.beganMs);
  const outcomes = [disturbance, probed, healed];
  const told = [disturbance.value, healed.value, ...outcomes.map(({ error }) => error?.message)];
  const problems = told.filter((problem) => problem !== undefined);
  const problem = problems.length === 0 ? undefined : problems.join("; ");
  const run = {
    ...runOf({ fault, number, before, after, report, probe: probed.value, healMs }),
    problem,
    event,
    rebuild,
  };
  return { run, cut: outcomes.find(({ error }) => error !== undefined)?.error };
}

/** Lets the load run, injects the fault, and waits until clients are well again; returns what failed of the fault itself. */
async function disturb(
  { stack, fault }: At,
  load: {
    readonly before: NodeName;
    readonly controls: ProbeControls;
    readonly latest: () => ProbeReport | undefined;
  },
  call: Call,
): Promise<string | undefined> {
  await sleep(WARM_UP_MS + (systemRandom(2).readUInt16LE(0) / 65_536) * PHASE_MS, undefined, call);
  const begun = Date.now();
  load.controls.mark(fault.name, begun);
  let at = begun;
  let failed: string | undefined;
  try {
    at = await stack.inject(fault.name, load.before, call);
  } catch (error) {
    // A command of ours that does not go through is a result; what clients get meanwhile is measured all the same.
    if (!(error instanceof Stop)) throw error;
    failed = error.message;
  }
  const deadline = performance.now() + RECOVERY_TIMEOUT_MS;
  for (;;) {
    const report = load.latest();
    if (report?.label === fault.name && isWell(report, at)) return failed;
    if (performance.now() > deadline) {
      throw new Stop(`writes are not acknowledged ${RECOVERY_TIMEOUT_MS / 1_000} s after: ${fault.title}`);
    }
    await sleep(LOOK_MS, undefined, call);
  }
}

/** Nothing has failed for a while, and answers came all the time. */
function isWell({ atMs, writes, reads }: ProbeReport, faultMs: number): boolean {
  const settledMs = Math.max(
    faultMs + OBSERVE_MIN_MS - STABLE_MS,
    ...[writes.window, reads.window].flatMap(({ lastFailedMs = 0, longestGap }) => [lastFailedMs, longestGap.toMs]),
  );
  const lastMs = writes.window.lastAcknowledgedMs ?? 0;
  return atMs - settledMs >= STABLE_MS && atMs - lastMs < STABLE_MS / 4;
}

/** The run's figures: of a load that could not be read back, those of its last report. */
export function runOf(of: {
  readonly fault: Fault;
  readonly number: number;
  readonly before: NodeName;
  readonly after: NodeName | "none";
  readonly report: ProbeReport;
  readonly probe: Pick<ProbeResult, "readBack" | "judgement"> | undefined;
  readonly healMs: number;
}): FailoverRun {
  const { report, probe } = of;
  const [writes, reads] = [report.writes.window, report.reads.window];
  const lastFailedMs = Math.max(writes.lastFailedMs ?? 0, reads.lastFailedMs ?? 0);
  return {
    fault: of.fault.name,
    number: of.number,
    at: new Date(writes.beganMs).toISOString(),
    primaryBefore: of.before,
    primaryAfter: of.after,
    writeOutageS: writes.longestGap.durationMs / 1_000,
    faultToWriteOkS: (writes.longestGap.toMs - writes.beganMs) / 1_000,
    readOutageS: reads.longestGap.durationMs / 1_000,
    faultToLastErrorS: lastFailedMs === 0 ? undefined : (lastFailedMs - writes.beganMs) / 1_000,
    longestOkS: Math.max(writes.latency.maxMs, reads.latency.maxMs) / 1_000,
    writesFailed: writes.failedCount,
    writesUnknown: writes.unknownCount,
    readsFailed: reads.failedCount,
    reasons: reasonsOf([writes.failedReasons, writes.unknownReasons, reads.failedReasons]),
    ...readBackOf(report, probe),
    rowMissing: report.rowMissingCount,
    healS: of.healMs / 1_000,
  };
}

function readBackOf(
  report: ProbeReport,
  probe: Pick<ProbeResult, "readBack" | "judgement"> | undefined,
): Pick<FailoverRun, "unknownPresent" | "acknowledged" | "lost" | "odd"> {
  if (probe === undefined) {
    return { unknownPresent: 0, acknowledged: report.writes.okCount, lost: undefined, odd: 0 };
  }
  const { readBack, judgement } = probe;
  return {
    unknownPresent: judgement.unknownPresent,
    acknowledged: readBack.acknowledged,
    lost: readBack.missing.length,
    odd: readBack.damaged.length + judgement.failedPresent.length + judgement.strangers.length,
  };
}

function reasonsOf(all: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const reasons of all) {
    for (const [reason, count] of Object.entries(reasons)) sums[reason] = (sums[reason] ?? 0) + count;
  }
  return sums;
}
