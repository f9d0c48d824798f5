/**
 * Starts a restored server and makes sure that it came as far as was planned.
 *
 * Looked at from outside, without logging in: the control file says when the server left recovery, and the history of the
 * timeline it began says where. A server that came up short is stopped and reported, never handed over as recovered.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import {
  formatLsn,
  historyName,
  type Lsn,
  lsnMax,
  parseLsn,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import type { LocalServer } from "../postgres/server.ts";
import { parseHistory } from "../wal/history.ts";
import { findEndOfWal } from "../wal/records/reader.ts";
import type { RestorePlan } from "./plan.ts";
import type { RestoreWal } from "./restore-wal.ts";

/** How often the control file is looked at while the server recovers. */
const LOOK_INTERVAL_MS = 20;
/** A server that came up short has nothing worth a long goodbye. */
const STOP_TIMEOUT_MS = 60_000;

export type BootTools = {
  readonly server: LocalServer;
  readonly files: Files;
  readonly clock: Clock;
  readonly wal: RestoreWal;
};

/** Where recovery ended. */
export type Reached = { readonly timeline: Timeline; readonly lsn: Lsn; readonly recoveryMs: number };

/**
 * Starts the server and waits until it left recovery. Throws `restore.point-not-reached` when it ended before the last
 * whole record of the planned WAL (target "latest") or before the backup was consistent, and whatever starting throws.
 */
export async function bootRestored(
  tools: BootTools,
  plan: RestorePlan,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Reached> {
  const { server, clock } = tools;
  const begun = clock.monotonic();
  const needed = await neededEnd(tools.wal, plan, options);
  await server.start({ until: "accepting", ...options });
  await untilInProduction(tools, { ...options, deadlineMs: begun + options.timeoutMs });
  const recoveryMs = clock.monotonic() - begun;
  const reached = await readReached(tools.files, server.setup.dataFolder);
  if (reached.lsn >= needed) return { ...reached, recoveryMs };
  await server.stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
  throw new LifeboatError("restore.point-not-reached", {
    message: `the restored server in ${server.setup.dataFolder} ended recovery at ${formatLsn(reached.lsn)}, ${formatLsn(needed)} was planned`,
    remedy: "It was stopped. Look at its log, run `lifeboat vault check --read-data`, and restore again.",
    details: { reached: formatLsn(reached.lsn), planned: formatLsn(needed) },
  });
}

/** The end of the last whole record that recovery must replay. */
async function neededEnd(
  wal: RestoreWal,
  plan: RestorePlan,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Lsn> {
  const consistent = parseLsn(plan.backup.endLsn);
  const last = plan.segments.at(-1);
  if (plan.target.kind !== "latest" || last === undefined) return consistent;
  const starts = new Map(plan.segments.map((segment) => [segment.name, segment.start]));
  const timelines = new Map(plan.segments.map((segment) => [segment.start, timelineOfSegment(segment.name)]));
  const source = {
    walSegmentBytes: plan.walSegmentBytes,
    timelineAt: (start: Lsn) => timelines.get(start) ?? plan.timeline,
    readSegment: async (name: string) => (starts.has(name) ? wal.segment(name, options) : undefined),
  };
  // A record that crosses into the last segment begins in the one before.
  const from = plan.segments.at(-2)?.start ?? last.start;
  const end = await findEndOfWal(source, { from }, options);
  return lsnMax(consistent, end.last?.end ?? consistent);
}

async function untilInProduction(
  { files, server, clock }: BootTools,
  options: { readonly deadlineMs: number; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const file = path.join(server.setup.dataFolder, CONTROL_FILE_PATH);
  for (;;) {
    if (parseControlFile(await files.readFile(file)).state === "in production") return;
    const state = await server.state();
    if (state.kind === "stopped" || state.kind === "crashed") {
      throw new LifeboatError("restore.point-not-reached", {
        message: `the restored server in ${server.setup.dataFolder} ended during recovery; its log ends: ${await server.logTail()}`,
        remedy: `Look at ${server.setup.logFile} for what stopped recovery.`,
      });
    }
    if (clock.monotonic() > options.deadlineMs) {
      throw new LifeboatError("restore.point-not-reached", {
        message: `the restored server in ${server.setup.dataFolder} was still recovering after ${options.timeoutMs} ms`,
        remedy: "It was left running and goes on; look at its log for how far it is, or raise restore.bootTimeout.",
        retryable: true,
      });
    }
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}

async function readReached(
  files: Files,
  dataFolder: string,
): Promise<{ readonly timeline: Timeline; readonly lsn: Lsn }> {
  const folder = path.join(dataFolder, "pg_wal");
  const names = (await files.list(folder))
    .map((entry) => entry.name)
    .filter((name) => /^[0-9A-F]{8}\.history$/.test(name));
  const newest = Number.parseInt(names.at(-1)?.slice(0, 8) ?? "", 16) as Timeline;
  const history = parseHistory(newest, await files.readFile(path.join(folder, historyName(newest))));
  const switchLsn = history.at(-1)?.switchLsn ?? (0n as Lsn);
  return { timeline: newest, lsn: switchLsn };
}
