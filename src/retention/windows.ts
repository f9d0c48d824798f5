/**
 * The time windows of retention: hours, days and ISO weeks in UTC, numbered from 1970. Pure.
 */
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { BackupTier } from "../vault/backups.ts";

/** The tiers that go by windows. */
export type WindowTier = Exclude<BackupTier, "manual">;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_DAYS = 7;
/** 1970 began on a Thursday, the fourth day of an ISO week. */
const EPOCH_WEEKDAY = 3;

const hourOf = (at: Instant): number => Math.floor(at / HOUR_MS);
const dayOf = (at: Instant): number => Math.floor(at / DAY_MS);
const weekOf = (at: Instant): number => Math.floor((dayOf(at) + EPOCH_WEEKDAY) / WEEK_DAYS);

/** The window of each tier in which an instant lies, as a number that grows by one with each window. */
export const TIER_WINDOWS: readonly (readonly [WindowTier, (at: Instant) => number])[] = [
  ["hourly", hourOf],
  ["daily", dayOf],
  ["weekly", weekOf],
];

/** A window as people write it: `2026-11-22T22Z`, `2026-11-22`, `2026-W47`. */
export function windowName(tier: WindowTier, window: number): string {
  if (tier === "hourly") return `${formatInstant((window * HOUR_MS) as Instant).slice(0, 13)}Z`;
  if (tier === "daily") return formatInstant((window * DAY_MS) as Instant).slice(0, 10);
  // A week belongs to the year of its Thursday.
  const thursday = new Date(window * WEEK_DAYS * DAY_MS);
  const firstDay = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const number = Math.floor((thursday.getTime() - firstDay) / DAY_MS / WEEK_DAYS) + 1;
  return `${thursday.getUTCFullYear()}-W${String(number).padStart(2, "0")}`;
}
