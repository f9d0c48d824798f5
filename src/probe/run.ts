/**
 * One run of the probe from beginning to end: makes its table, starts its process, passes marks on, stops, reads every
 * acknowledged write back and judges the others.
 *
 * Invariants: the load ends by time, by `stop`, or on request, and then the result is told all the same; the ledger is
 * there until every write in it was found; rows and ledger of a run stay when something is missing or odd, as evidence.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Processes } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { retry } from "../platform/retry.ts";
import type { ProbeReport } from "./measurements.ts";
import type { ProbeOptions } from "./probe.ts";
import { ProbeProcess } from "./process.ts";
import { type Judgement, judgeUnexpected, type ReadBack, type ReadBackRequest, readBack } from "./read-back.ts";
import { isSound } from "./sound.ts";
import { makeWriteTable, removeRows } from "./write-table.ts";

/** What is needed of the machine, and how the probe is started: the Node program, and the probe's entry. */
export type ProbeTools = {
  readonly clock: Clock;
  readonly files: Files;
  readonly processes: Processes;
  readonly random: RandomSource;
  readonly node: string;
  readonly entry: string;
};

/** What to do. */
export type ProbeRequest = {
  readonly probe: ProbeOptions;
  /** Must not exist; its folder must. */
  readonly ledgerFile: string;
  /** Without end when undefined. */
  readonly seconds: number | undefined;
  /** Leave rows and ledger in any case. */
  readonly keep: boolean;
  /** Ends the load; the result is told all the same. */
  readonly signal: AbortSignal;
  /** Gives up reading back too. */
  readonly abandon?: AbortSignal | undefined;
  /** Called with a way to mark a moment and to stop, once the load runs. */
  readonly onRunning: (controls: ProbeControls) => void;
  readonly onReport: (report: ProbeReport) => void;
  /** Told why rows or ledger stay although all is well. */
  readonly onLeft: (failure: LifeboatError) => void;
};

/** What can be done to a load under way. */
export type ProbeControls = {
  /** Begins a new window, now or at a moment just past, in milliseconds since 1970. */
  readonly mark: (label: string, atMs?: number) => void;
  readonly stop: () => void;
};

/** What came of it. */
export type ProbeResult = {
  readonly target: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string | undefined;
  };
  readonly load: Omit<ProbeOptions, "connect">;
  readonly synchronousCommit: string;
  readonly report: ProbeReport;
  readonly readBack: ReadBack;
  readonly judgement: Judgement;
  /** Undefined when it was removed: every acknowledged write was found and nothing was odd. */
  readonly ledgerFile: string | undefined;
};

/** How often the load is asked how it stands. */
const LOOK_INTERVAL_MS = 200;
/** Some three minutes for a server or a pooler to come back; who waits longer has a ledger to read back later. */
const READ_BACK_POLICY = { attemptsMax: 240, delayMinMs: 250, delayMaxMs: 1_000 };
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["postgres.login-refused", "postgres.not-permitted"]);

/**
 * Runs the probe. Rejects as `makeWriteTable`, with `probe.process-failed`, and as `readBack` when the server does not
 * come back: the ledger then stays.
 */
export async function runProbe(tools: ProbeTools, request: ProbeRequest): Promise<ProbeResult> {
  const { probe, ledgerFile } = request;
  const { connect, ...load } = probe;
  const { synchronousCommit } = await makeWriteTable(connect, { signal: request.signal });
  const report = await putLoad(tools, request);
  const back = await readBackPatiently(tools, { connect, ledgerFile, signal: request.abandon });
  const judgement = judgeUnexpected(back, report);
  const remove = !request.keep && isSound({ readBack: back, judgement }) && (await tidyUp(tools, request));
  const { host, port, user, database } = connect;
  const kept = remove ? undefined : ledgerFile;
  const target = { host, port, user, database };
  return { target, load, synchronousCommit, report, readBack: back, judgement, ledgerFile: kept };
}

/** True when rows and ledger are gone. What was measured is worth more than a tidy table: a failure is told beside it. */
async function tidyUp({ files }: ProbeTools, { probe, ledgerFile, onLeft }: ProbeRequest): Promise<boolean> {
  try {
    await removeRows(probe.connect, probe.clientId, {});
    await files.remove(ledgerFile);
    return true;
  } catch (error) {
    if (!isLifeboatError(error) || error.kind === "bug") throw error;
    onLeft(error);
    return false;
  }
}

async function putLoad(tools: ProbeTools, request: ProbeRequest): Promise<ProbeReport> {
  const { clock, processes, node, entry } = tools;
  const { probe, ledgerFile, seconds } = request;
  const process = await ProbeProcess.start(processes, { node, entry, probe, ledgerFile, signal: request.signal });
  const over = new AbortController();
  const ending = AbortSignal.any([over.signal, request.signal]);
  let marks: Promise<unknown> = Promise.resolve();
  try {
    const until = seconds === undefined ? Infinity : clock.monotonic() + seconds * 1_000;
    request.onRunning({
      mark: (label, atMs) => {
        const marking = process.mark({}, { label, atMs });
        // What went wrong is told by the next look, and here at the end.
        marking.catch(() => undefined);
        marks = marking;
      },
      stop: () => over.abort(),
    });
    for (;;) {
      const leftMs = until - clock.monotonic();
      if (leftMs <= 0 || ending.aborted) break;
      await clock.sleep(Math.min(leftMs, LOOK_INTERVAL_MS), { signal: ending }).catch(() => undefined);
      request.onReport(await process.status({}));
    }
    await marks;
    return await process.stop({});
  } finally {
    await process.kill();
  }
}

/** As `readBack`, but waits for a server that does not answer yet. */
function readBackPatiently(tools: ProbeTools, request: ReadBackRequest): Promise<ReadBack> {
  return retry(tools, READ_BACK_POLICY, () => readBack(tools.files, request), {
    signal: request.signal,
    permanent: (error) => !isLifeboatError(error) || !isPassing(error.code),
  });
}

/** Of a server that does not answer, or one that is no primary yet. */
function isPassing(code: ErrorCode): boolean {
  return (code.startsWith("postgres.") && !REFUSALS.has(code)) || code === "probe.reads-standby";
}
