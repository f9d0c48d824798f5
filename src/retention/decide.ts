/**
 * Decides which backups stay, from facts and a policy. Pure.
 *
 * Nouns: a *tier* is a row of time windows (hours, days, ISO weeks, all in UTC) counted back from now; a backup *serves* a
 * window as the newest restorable one in it; a *reason* says why a backup stays; a *hold* keeps a backup, or all of them
 * during an incident, until it is released.
 * Invariants: at most one backup is kept for each window of a tier, whatever else was taken in it, so that a burst cannot
 * push old backups out; the newest proven and the newest restorable backup of every system stay, by the clock and by the
 * WAL, and the newest that leads to the branch on which the server goes on; a backup counts only when its own WAL is held,
 * and one that failed its proof only where there is no other, so that a lost one pushes no sound one out; one whose newest
 * proof does not open may have failed, or be the only proven one: what stays in either case stays; of a system with no
 * restorable backup nothing goes; what is held, or younger than an hour, stays; manual backups go by age alone, or by name.
 */
import type { Instant } from "../platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { type BackupTier, LEFT_BEHIND_MS } from "../vault/backups.ts";
import { isAhead } from "../vault/dated-ahead.ts";
import type { BackupId } from "../vault/names.ts";
import type { TombstoneWhy } from "./tombstones.ts";
import { TIER_WINDOWS, type WindowTier, windowName } from "./windows.ts";

/** A backup as far as retention looks at it. */
export type RetainedBackup = {
  readonly backupId: BackupId;
  readonly systemId: SystemId;
  readonly tier: BackupTier;
  /** When it ended, by the clock of the machine that took it. */
  readonly endedMs: Instant;
  readonly timeline: Timeline;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  /** All WAL that makes it consistent is held. */
  readonly restorable: boolean;
  /** The newest timeline that what is held leads to from here, and when the last of its WAL was stored. */
  readonly reaches: { readonly timeline: Timeline; readonly storedMs: number };
  readonly tombstone: { readonly storedMs: number; readonly why: TombstoneWhy } | undefined;
};

/** What the proofs of a backup come to: it was restored and came up, or less was shown, or it failed, or nobody knows. */
export type ProofStanding = "booted" | "shown" | "failed" | "unreadable";

/** A backup that was begun and not announced. */
export type UnfinishedBackup = {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  readonly startedMs: number;
  /** Its packs are stored, and all that is known to lack is its announcement. */
  readonly hasManifest: boolean;
};

/** Everything the decision looks at. Times of stored objects are by the store's clock. */
export type RetentionFacts = {
  readonly now: Instant;
  readonly backups: readonly RetainedBackup[];
  /** Those that have no proof are not in it. */
  readonly proofs: ReadonlyMap<BackupId, ProofStanding>;
  readonly held: ReadonlySet<BackupId>;
  readonly incidentHold: boolean;
  readonly unfinished: readonly UnfinishedBackup[];
  /** When the vault was made, by the clock of then; undefined where nothing says. */
  readonly madeMs: number | undefined;
  /** When each object of the vault that tells of backups or WAL was stored, in any order. */
  readonly storedMs: readonly number[];
};

/** How much is kept. */
export type RetentionPolicy = {
  /** How many windows of each tier. */
  readonly windows: Readonly<Record<WindowTier, number>>;
  /** After so many days manual backups go; undefined keeps them until they are named. */
  readonly manualDays: number | undefined;
  /** How long a tombstone stands before anything is deleted. */
  readonly graceMs: number;
  /** Backups that are to go because somebody named them. */
  readonly named: ReadonlySet<BackupId>;
};

/** Why a backup stays. */
export type KeepReason =
  | { readonly kind: "tier"; readonly tier: WindowTier; readonly window: string }
  | {
      readonly kind:
        | "newest"
        | "newest-proven"
        | "proof-unreadable"
        | "held"
        | "young"
        | "manual"
        | "none-restorable"
        | "blocked";
    };

/** How far a backup that is to go has come. */
export type RemovalStage =
  /** It gets a tombstone now. */
  | "tombstone"
  /** Its tombstone is not old enough. */
  | "grace"
  /** A backup under way may have it as its parent. */
  | "awaits-backup"
  /** Its objects are deleted now. */
  | "erase";

/** Why nothing at all is removed. */
export type Blocker =
  | { readonly kind: "incident" }
  /** The vault got nothing new for so long: the clock is wrong, or backups have stopped. */
  | { readonly kind: "quiet"; readonly newestStoredMs: number }
  /** The same up to a short while ago: what came since then may be dated by a clock that leapt. It is believed from `untilMs` on. */
  | {
      readonly kind: "leapt";
      readonly newestStoredMs: number;
      readonly resumedMs: number;
      readonly untilMs: number;
    };

/** What becomes of every backup. */
export type RetentionDecision = {
  /** The time the decision is for. */
  readonly now: Instant;
  readonly keep: readonly { readonly backup: RetainedBackup; readonly reasons: readonly KeepReason[] }[];
  readonly remove: readonly {
    readonly backup: RetainedBackup;
    readonly why: TombstoneWhy;
    readonly stage: RemovalStage;
    readonly proofFailed: boolean;
  }[];
  /** Unfinished backups without a manifest that nobody works on any more. */
  readonly abandoned: readonly UnfinishedBackup[];
  readonly blockedBy: Blocker | undefined;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Whoever looks at the backup that was just taken finds it, however many are taken. */
const YOUNG_MS = HOUR_MS;

/**
 * A vault that takes backups gets something every day. Without anything for a week, `now` is not to be believed, or
 * backups have stopped: no time to delete any.
 */
const QUIET_MS = 7 * DAY_MS;

/** Whoever set the clock wrong has so long to see it, also where the grace is shorter. */
const LEAP_MS_MIN = DAY_MS;

/** Whoever takes backups elsewhere for a week after a branch got its last WAL has left it. */
const BRANCH_LEFT_MS = 7 * DAY_MS;

/** A backup lists its parents some time before its started marker is stored. */
const PARENT_CHOICE_MS = HOUR_MS;

/** Decides. The lists are in the order of the facts. */
export function decideRetention(facts: RetentionFacts, policy: RetentionPolicy): RetentionDecision {
  const blockedBy = findBlocker(facts, policy);
  const systems = Map.groupBy(facts.backups, ({ systemId }) => systemId);
  const keep: RetentionDecision["keep"][number][] = [];
  const remove: RetentionDecision["remove"][number][] = [];
  for (const backups of systems.values()) {
    const reasonsOf = reasonsEitherWay(backups, facts, policy);
    for (const backup of backups) {
      const reasons = reasonsOf.get(backup) ?? [];
      const named = isNamed(backup, policy);
      if (reasons.length === 0 && blockedBy === undefined) {
        const proofFailed = facts.proofs.get(backup.backupId) === "failed";
        remove.push({ backup, why: named ? "named" : "retention", stage: stageOf(backup, facts, policy), proofFailed });
      } else keep.push({ backup, reasons: reasons.length === 0 ? [{ kind: "blocked" }] : reasons });
    }
  }
  // With a manifest it may be whole, and its announcement lost from a disk: that is damage, and nothing to tidy up.
  const isAbandoned = ({ startedMs, hasManifest }: UnfinishedBackup): boolean =>
    facts.now - startedMs > LEFT_BEHIND_MS && !hasManifest;
  const abandoned = blockedBy === undefined ? facts.unfinished.filter(isAbandoned) : [];
  return { now: facts.now, keep, remove, abandoned, blockedBy };
}

/** The newer of two backups: by the time it ended, then by its name. */
export function isNewer(a: RetainedBackup, b: RetainedBackup): boolean {
  return a.endedMs === b.endedMs ? a.backupId > b.backupId : a.endedMs > b.endedMs;
}

function findBlocker(
  { incidentHold, storedMs, madeMs, now }: RetentionFacts,
  { graceMs }: RetentionPolicy,
): Blocker | undefined {
  if (incidentHold) return { kind: "incident" };
  // Dated ahead, by a clock that was wrong: it does not tell that anything came lately.
  const believed = Float64Array.from(storedMs.filter((each) => !isAhead(each, now))).sort();
  const newestStoredMs = believed.at(-1);
  if (newestStoredMs === undefined) return undefined;
  return now - newestStoredMs > QUIET_MS
    ? { kind: "quiet", newestStoredMs }
    : findLeap({ sorted: believed, madeMs }, now, graceMs);
}

/**
 * A clock that leaps ahead dates what is stored from then on, and that must not vouch for it: a leap looks like a rest of more than
 * a week that ended lately. A vault with backups at long intervals always looks so, and is known by its earlier rests: not by one that
 * begins before there was a vault, at an object that a machine dated 1970 as it had no time yet. No leap is twice as long as that.
 */
function findLeap(
  { sorted, madeMs }: { readonly sorted: Float64Array; readonly madeMs: number | undefined },
  now: Instant,
  graceMs: number,
): Blocker | undefined {
  const sinceMs = madeMs === undefined || isAhead(madeMs, now) ? Number.NEGATIVE_INFINITY : madeMs;
  const waitMs = Math.max(graceMs, LEAP_MS_MIN);
  const rests = sorted.subarray(1).map((at, index) => at - (sorted[index] ?? at));
  for (let index = rests.length - 1; index >= 0; index -= 1) {
    const [newestStoredMs, resumedMs, restMs] = [sorted[index] ?? now, sorted[index + 1] ?? now, rests[index] ?? 0];
    if (now - resumedMs >= waitMs) return undefined;
    if (restMs <= QUIET_MS) continue;
    const usual = rests.subarray(0, index).filter((_, at) => (sorted[at] ?? now) >= sinceMs);
    const usualMs = usual.reduce((longest, each) => Math.max(longest, each), 0);
    if (restMs > 2 * usualMs) return { kind: "leapt", newestStoredMs, resumedMs, untilMs: resumedMs + waitMs };
  }
  return undefined;
}

/** Whether a backup is to go because somebody named it, now or when it got its tombstone. */
export function isNamed(backup: RetainedBackup, policy: Pick<RetentionPolicy, "named">): boolean {
  return policy.named.has(backup.backupId) || backup.tombstone?.why === "named";
}

/**
 * The reasons to keep each backup of one system, whatever the proofs say that do not open. Read as failed, a backup pushes no
 * other out; read as proven, none pushes it out.
 */
function reasonsEitherWay(
  backups: readonly RetainedBackup[],
  facts: RetentionFacts,
  policy: RetentionPolicy,
): ReadonlyMap<RetainedBackup, readonly KeepReason[]> {
  const reasons = systemReasons(backups, readUnreadableAs("failed", facts), policy);
  const isUnreadable = ({ backupId }: RetainedBackup): boolean => facts.proofs.get(backupId) === "unreadable";
  if (!backups.some(isUnreadable)) return reasons;
  const asProven = systemReasons(backups, readUnreadableAs("booted", facts), policy);
  for (const [backup, also] of asProven) {
    const own = reasons.get(backup);
    // Whoever stays anyway needs no second reason, and nobody may be told that it is proven.
    if (own?.length === 0 && also.length > 0) own.push(...(isUnreadable(backup) ? [PROOF_UNREADABLE] : also));
  }
  return reasons;
}

const PROOF_UNREADABLE: KeepReason = { kind: "proof-unreadable" };

function readUnreadableAs(standing: ProofStanding, facts: RetentionFacts): RetentionFacts {
  const proofs = [...facts.proofs].map(([id, each]) => [id, each === "unreadable" ? standing : each] as const);
  return { ...facts, proofs: new Map(proofs) };
}

/** The reasons to keep each backup of one system; none for those that go. */
function systemReasons(
  backups: readonly RetainedBackup[],
  facts: RetentionFacts,
  policy: RetentionPolicy,
): ReadonlyMap<RetainedBackup, KeepReason[]> {
  const reasons = new Map<RetainedBackup, KeepReason[]>(backups.map((backup) => [backup, []]));
  const add = (backup: RetainedBackup | undefined, reason: KeepReason): void => {
    if (backup !== undefined) reasons.get(backup)?.push(reason);
  };
  const restorable = backups.filter((backup) => backup.restorable);
  if (restorable.length === 0) for (const backup of backups) add(backup, { kind: "none-restorable" });
  const leading = soundOf(newestBranchOf(restorable, facts.now), facts);
  const newest = [soundOf(restorable, facts), leading].flatMap((each) => [...newestOf(each, facts.now)]);
  for (const backup of new Set(newest)) add(backup, { kind: "newest" });
  for (const backup of newestOf(provenOf(restorable, facts), facts.now)) add(backup, { kind: "newest-proven" });
  for (const backup of backups) {
    if (facts.held.has(backup.backupId)) add(backup, { kind: "held" });
    if (isNamed(backup, policy)) continue;
    const ageMs = facts.now - backup.endedMs;
    if (ageMs < YOUNG_MS) add(backup, { kind: "young" });
    const { manualDays } = policy;
    if (backup.tier === "manual" && (manualDays === undefined || ageMs < manualDays * DAY_MS)) {
      add(backup, { kind: "manual" });
    }
  }
  const candidates = restorable.filter((backup) => backup.tier !== "manual" && !isNamed(backup, policy));
  for (const [tier, windowOf] of TIER_WINDOWS) {
    const current = windowOf(facts.now);
    const windows = Map.groupBy(candidates, ({ endedMs }) => windowOf(endedMs));
    for (const [window, inside] of windows) {
      if (window > current || window <= current - policy.windows[tier]) continue;
      add(newestByClock(soundOf(inside, facts)), { kind: "tier", tier, window: windowName(tier, window) });
    }
  }
  return reasons;
}

/** Those that did not fail their proof; all when every one did: part of a lost backup may still be read. */
function soundOf(backups: readonly RetainedBackup[], { proofs }: RetentionFacts): readonly RetainedBackup[] {
  const sound = backups.filter(({ backupId }) => proofs.get(backupId) !== "failed");
  return sound.length === 0 ? backups : sound;
}

/** Those that came up; where none did, those of which less was shown. */
function provenOf(backups: readonly RetainedBackup[], { proofs }: RetentionFacts): readonly RetainedBackup[] {
  const booted = backups.filter(({ backupId }) => proofs.get(backupId) === "booted");
  return booted.length === 0 ? backups.filter(({ backupId }) => proofs.get(backupId) === "shown") : booted;
}

/**
 * Those that lead to the newest branch that was not left. What ended on the branch that a failover left behind may be the
 * newest by the clock, and leads to nothing that was written since.
 */
function newestBranchOf(backups: readonly RetainedBackup[], now: Instant): readonly RetainedBackup[] {
  const branches = [...Map.groupBy(backups, ({ reaches }) => reaches.timeline)].sort(([a], [b]) => b - a);
  const newest = branches.find(([timeline, [any]]) => {
    const lastMs = any?.reaches.storedMs ?? now;
    const isLater = (each: RetainedBackup): boolean =>
      each.reaches.timeline < timeline && each.endedMs - lastMs > BRANCH_LEFT_MS && !isAhead(each.endedMs, now);
    return !backups.some(isLater);
  });
  return newest?.[1] ?? [];
}

/** The newest by the clock and the furthest in the WAL: usually one, two when a clock was set. */
function newestOf(backups: readonly RetainedBackup[], now: Instant): ReadonlySet<RetainedBackup> {
  const furthest = backups.reduce<RetainedBackup | undefined>(
    (best, each) => (best === undefined || isFurther(each, best) ? each : best),
    undefined,
  );
  // One that is dated ahead is the newest only where there is no other, or it could never be removed.
  const believed = backups.filter(({ endedMs }) => !isAhead(endedMs, now));
  const newest = newestByClock(believed.length === 0 ? backups : believed);
  return new Set([newest, furthest].filter((each) => each !== undefined));
}

function newestByClock(backups: readonly RetainedBackup[]): RetainedBackup | undefined {
  return backups.reduce<RetainedBackup | undefined>(
    (best, each) => (best === undefined || isNewer(each, best) ? each : best),
    undefined,
  );
}

function isFurther(a: RetainedBackup, b: RetainedBackup): boolean {
  if (a.timeline !== b.timeline) return a.timeline > b.timeline;
  return a.endLsn === b.endLsn ? isNewer(a, b) : a.endLsn > b.endLsn;
}

function stageOf(backup: RetainedBackup, facts: RetentionFacts, policy: RetentionPolicy): RemovalStage {
  const { tombstone, systemId } = backup;
  if (tombstone === undefined) return "tombstone";
  if (facts.now - tombstone.storedMs < policy.graceMs) return "grace";
  const mayBeParent = facts.unfinished.some(
    (each) =>
      each.systemId === systemId &&
      facts.now - each.startedMs <= LEFT_BEHIND_MS &&
      each.startedMs - PARENT_CHOICE_MS <= tombstone.storedMs,
  );
  return mayBeParent ? "awaits-backup" : "erase";
}
