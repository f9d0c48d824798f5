/** Whether a receiver's report tells anything of now. By itself, since the command line asks and does not read reports. */
import { describeDuration } from "../units/duration.ts";
import type { ReceiverReport, ReceiverStatus, ReportedError } from "./report.ts";

/** A receiver reports every second. One that does not hangs, or has no room left even for its report. */
const REPORT_AGE_MS_MAX = 10_000;

/**
 * Why the report of a receiver that runs, so long after it was written, tells nothing of now; undefined where it does. One that
 * is dated ahead tells nothing either: since when nothing came after it cannot be known.
 */
export function whyStale(reportAgeMs: number | undefined): string | undefined {
  if (reportAgeMs === undefined || Math.abs(reportAgeMs) <= REPORT_AGE_MS_MAX) return undefined;
  if (reportAgeMs < 0)
    return `it runs and its report is dated ${describeDuration(-reportAgeMs)} ahead: was the clock set back?`;
  return `it runs and has said nothing for ${describeDuration(reportAgeMs)}; is it halted, or the spool's disk full?`;
}

/** Why a receiver is no more that met what no repetition mends: starting it again is no remedy. Undefined for any other. */
export function whyFailed(status: ReceiverStatus): ReportedError | undefined {
  if (status.kind !== "not-running" || status.report.mode !== "failed") return undefined;
  return status.report.lastError ?? undefined;
}

/** What a report's position may be called: what is held and cannot be confirmed was told to no server. */
export function confirmedOrHeld({ alarms }: ReceiverReport): "confirmed" | "held" {
  return alarms.some(({ kind }) => kind === "stalled") ? "held" : "confirmed";
}
