/**
 * Whether a backup may keep pages of an earlier one. Pure.
 *
 * A page is kept only when its bytes were fingerprinted equal (page-stream.ts); the rules here make sure that fingerprints
 * of this very cluster, on this very history, are compared, and under settings that leave no page changed in silence. The
 * rule numbers are those of the safety rules A1 to A7.
 */
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { leftAt, type TimelineHistory } from "../wal/history.ts";

/** Why every page is stored. */
export type WhyFull =
  | "asked-for"
  | "no-parent"
  | "parent-unreadable"
  | "parent-failed-proof"
  | "parent-damaged"
  | "other-system"
  | "other-version"
  | "other-history"
  | "full-page-writes-off"
  | "no-checksums-and-no-hints"
  | "checksums-switched"
  | "wal-level-changed"
  | "settings-changed-between"
  | "wal-missing-between"
  | "wal-unreadable-between"
  | "starts-before-parent-ended";

/** What each reason means, for people. */
const WHY_FULL: Readonly<Record<WhyFull, string>> = {
  "asked-for": "a full backup was asked for",
  "no-parent": "there is no earlier backup of this system",
  "parent-unreadable": "the manifest of the earlier backup cannot be read",
  "parent-failed-proof": "a proof of the earlier backup failed, or one that names a pack it shares",
  "parent-damaged": "part of the earlier backup is missing or damaged",
  "other-system": "the earlier backup is of another system",
  "other-version": "the earlier backup is of another PostgreSQL version",
  "other-history": "the earlier backup does not lie on this server's history",
  "full-page-writes-off": "full_page_writes is or was off",
  "no-checksums-and-no-hints": "data checksums and wal_log_hints are or were both off, so pages may change unseen",
  "checksums-switched": "data checksums were switched on or off since the earlier backup",
  "wal-level-changed": "wal_level was changed since the earlier backup",
  "settings-changed-between":
    "wal_log_hints or wal_level was changed, and perhaps changed back, since the earlier backup",
  "wal-missing-between": "the vault does not hold all WAL since the earlier backup",
  "wal-unreadable-between": "WAL since the earlier backup is in the vault and does not open, or does not read on",
  "starts-before-parent-ended": "this backup begins before the earlier one ended",
};

/** A record's reason in words; one of a later version stays as it is. */
export function describeWhyFull(reason: string): string {
  return Object.entries(WHY_FULL).find(([code]) => code === reason)?.[1] ?? reason;
}

/** The settings that the rules look at, as the server shows them. */
export type ParentSettings = {
  readonly fullPageWrites: boolean;
  readonly walLogHints: boolean;
  readonly walLevel: string;
  readonly dataChecksums: boolean;
};

/** An earlier backup. */
export type ParentFacts = {
  readonly systemId: SystemId;
  readonly serverMajor: number;
  readonly timeline: Timeline;
  /** The text of its timeline's history file; null on timeline 1. */
  readonly history: string | null;
  readonly endLsn: string;
  readonly settings: ParentSettings;
};

/** The server now. */
export type ServerNow = {
  readonly systemId: SystemId;
  readonly serverMajor: number;
  readonly timeline: Timeline;
  readonly history: TimelineHistory;
  /** The texts of the histories that are known, by timeline. */
  readonly historyTexts: ReadonlyMap<Timeline, string>;
  readonly settings: ParentSettings;
};

/** Decides before the backup begins; undefined means the parent may serve. */
export function decideFull(parent: ParentFacts, server: ServerNow): WhyFull | undefined {
  if (parent.systemId !== server.systemId) return "other-system";
  if (parent.serverMajor !== server.serverMajor) return "other-version";
  if (!isOnHistory(parent, server)) return "other-history";
  for (const { fullPageWrites, dataChecksums, walLogHints } of [parent.settings, server.settings]) {
    if (!fullPageWrites) return "full-page-writes-off";
    // A1: VACUUM sets a page's all-visible flag without moving its LSN.
    if (!dataChecksums && !walLogHints) return "no-checksums-and-no-hints";
  }
  if (parent.settings.dataChecksums !== server.settings.dataChecksums) return "checksums-switched";
  if (parent.settings.walLevel !== server.settings.walLevel) return "wal-level-changed";
  return undefined;
}

/** A5: the same branch, or one that left it after the parent had ended. */
function isOnHistory(parent: ParentFacts, server: ServerNow): boolean {
  const text = parent.timeline === 1 ? null : (server.historyTexts.get(parent.timeline) ?? null);
  if (parent.history !== text) return false;
  if (parent.timeline === server.timeline) return true;
  const left = leftAt(server.history, parent.timeline);
  return left !== undefined && parseLsn(parent.endLsn) <= left;
}
