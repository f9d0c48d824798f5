/**
 * When a person should look at a receiver.
 */
import { isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { Hindrance } from "./mandates.ts";
import type { ReceiverAlarm, ReceiverMode, ReportedError } from "./report.ts";
import type { ReceivedGap } from "./spool-state.ts";
import type { UnreadableWal } from "./unreadable.ts";

/** What alarms are judged by. */
export type AlarmFacts = {
  readonly now: Instant;
  readonly mode: ReceiverMode;
  /** Since when the mode is what it is. */
  readonly modeAt: Instant;
  readonly lastError: ReportedError | undefined;
  /** How long the server has been ahead of an unmoving confirmed position. */
  readonly stalledMs: number;
  /** Why nothing may be confirmed; undefined when it may. */
  readonly hindrance: Hindrance | undefined;
  readonly stallAfterMs: number;
  readonly uploadFailure: { readonly error: unknown; readonly since: Instant } | undefined;
  /** Since when one segment is on its way to the vault; undefined while none is. */
  readonly uploadingSince: Instant | undefined;
  readonly lostGaps: readonly ReceivedGap[];
  readonly unreadable: readonly UnreadableWal[];
};

/** Reconnecting after a restart of the server takes less; longer than this, somebody may be waiting for a commit. */
const CONNECTING_MS_MAX = 5_000;

/** A segment of 16 MiB takes a second, over a slow line half a minute. A share of a server that is gone never answers at all. */
const UPLOADING_MS_MAX = 120_000;

/** The alarms of the moment, the worst first. */
export function alarmsOf(facts: AlarmFacts): ReceiverAlarm[] {
  const alarms: ReceiverAlarm[] = [];
  const { mode, lastError } = facts;
  const modeSince = formatInstant(facts.modeAt);
  const why = lastError === undefined ? "" : `: ${lastError.message}`;
  if (mode === "waiting-for-space") {
    alarms.push({ kind: "no-space", since: modeSince, message: `nothing is confirmed for lack of space${why}` });
  } else if (mode !== "streaming" && (mode === "failed" || facts.now - facts.modeAt > CONNECTING_MS_MAX)) {
    alarms.push({
      kind: "not-streaming",
      since: modeSince,
      message: `nothing is confirmed, the receiver is ${mode}${why}`,
    });
  }
  // Whoever was not connected could confirm nothing: that was another alarm.
  const stalledMs = Math.min(facts.stalledMs, facts.now - facts.modeAt);
  if (mode === "streaming" && stalledMs > facts.stallAfterMs) {
    const since = formatInstant((facts.now - stalledMs) as Instant);
    alarms.push({ kind: "stalled", since, message: stallText(facts.hindrance) });
  }
  if (facts.uploadFailure !== undefined) {
    const { error, since } = facts.uploadFailure;
    // Nothing mends it by itself, and the wrong way out loses WAL.
    const remedy = isLifeboatError(error, "vault.exchanged") ? `. ${error.remedy}` : "";
    const reason = `${errorText(error)}${remedy}`;
    alarms.push({
      kind: "vault-failing",
      since: formatInstant(since),
      message: `segments wait for the vault: ${reason}`,
    });
  } else if (facts.uploadingSince !== undefined && facts.now - facts.uploadingSince > UPLOADING_MS_MAX) {
    const since = formatInstant(facts.uploadingSince);
    alarms.push({
      kind: "vault-failing",
      since,
      message: "segments wait for the vault: it does not answer",
    });
  }
  for (const gap of facts.lostGaps) {
    const range = `${formatLsn(gap.from)} to ${formatLsn(gap.to)} on timeline ${gap.timeline}`;
    alarms.push({ kind: "gap", since: gap.noticedAt, message: `the server no longer had ${range}: take a backup now` });
  }
  for (const { timeline, from, reason, noticedAt } of facts.unreadable) {
    const message = `the WAL does not read on at ${formatLsn(from)} on timeline ${timeline} (${reason}), and recovery ends there: take a backup now`;
    alarms.push({ kind: "unreadable", since: noticedAt, message });
  }
  return alarms;
}

function stallText(hindrance: Hindrance | undefined): string {
  if (hindrance === undefined) return "the server writes WAL and none of it gets confirmed";
  if (hindrance.kind === "no-grant") {
    return `nothing is confirmed: there is no grant in reign ${hindrance.reign} (the daemon gives it: lifeboat up)`;
  }
  const { rangeFrom, contiguousWith } = hindrance;
  const from =
    rangeFrom === undefined
      ? "where what is held begins is not known"
      : `what is held begins at ${formatLsn(rangeFrom)}`;
  const to =
    contiguousWith === undefined
      ? "how far the replica is was not told"
      : `the replica is at ${formatLsn(contiguousWith)}`;
  return `nothing is confirmed: ${from}, and ${to} (it goes on when the replica has come so far)`;
}

/** A failure as a report shows it. */
export function reportedError(error: unknown, at: Instant): ReportedError {
  if (isLifeboatError(error)) {
    return { code: error.code, message: error.message, remedy: error.remedy, at: formatInstant(at) };
  }
  const message = errorText(error);
  return {
    code: "platform.assertion-failed",
    message,
    remedy: "This is a bug in Lifeboat: report it with this text.",
    at: formatInstant(at),
  };
}
