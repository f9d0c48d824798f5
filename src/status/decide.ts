/**
 * Whether what is protected can be recovered now, from what a look at vault, receiver and server found.
 *
 * Nouns: a *fault* is something that is wrong, with a stable code and a remedy.
 * Invariants: judged by facts alone; what could not be looked at is a fault of its own and never taken for good.
 */
import type { Instant } from "../platform/clock.ts";
import { type CollationVersion, collationRisk } from "../postgres/collations.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { type SlotsSeen, slotRisks } from "../postgres/slots.ts";
import type { OutsideTablespace } from "../postgres/tablespaces.ts";
import { describeDuration } from "../units/duration.ts";
import { aheadMs } from "../vault/dated-ahead.ts";
import { remedyOf } from "../wal/alarm-remedy.ts";
import type { ReceiverReport, ReceiverStatus } from "../wal/report.ts";
import { whyFailed, whyStale } from "../wal/report-age.ts";

/** What could not be looked at, and why. */
export type Unreachable = { readonly kind: "unreachable"; readonly code: string; readonly message: string };

/** A backup, as far as status shows it. */
export type StatusBackup = {
  readonly backupId: string;
  readonly endedAt: string;
  readonly dataBytes: number;
  readonly storedBytes: number;
};

/** A backup or a proof whose time has not come yet: a clock was wrong. */
export type DatedAhead = { readonly what: "backup" | "proof"; readonly backupId: string; readonly endedAt: string };

/** The newest proof of a backup that was restored and came up. */
export type StatusProof = { readonly backupId: string; readonly depth: string; readonly endedAt: string };

/** A span in which every moment can be restored. */
export type StatusRange = {
  readonly systemId: string;
  readonly timeline: number;
  readonly from: string;
  readonly to: string;
  readonly fromTime: Instant | undefined;
  readonly toTime: Instant | undefined;
};

/** What was found in the vault. */
export type VaultFacts =
  | Unreachable
  | {
      readonly kind: "reached";
      /** One that is dated ahead only where there is no other; the same of the proof. */
      readonly newestBackup: StatusBackup | undefined;
      /** Undefined when no backup stands proven by having been booted. */
      readonly newestProof: StatusProof | undefined;
      /** Backups whose proof failed, or whose newest proof does not open. */
      readonly failedProofs: readonly string[];
      readonly datedAhead: readonly DatedAhead[];
      /** Tablespaces of the server that the newest backup has not. */
      readonly newerTablespaces: readonly OutsideTablespace[];
      /** Why that could not be seen. */
      readonly tablespacesUnseen: Unreachable | undefined;
      readonly backupCount: number;
      readonly unfinishedCount: number;
      readonly damagedBackups: readonly string[];
      readonly stranded: readonly string[];
      readonly ranges: readonly StatusRange[];
      readonly gapCount: number;
      /** Gaps behind which WAL is held, and no backup begins. */
      readonly outOfReach: readonly { readonly timeline: number; readonly from: string; readonly to: string }[];
      /** The newest timeline, where nothing of it can be restored, and how far its WAL is held. */
      readonly unreached: readonly { readonly timeline: number; readonly to: string; readonly historyHeld: boolean }[];
      /** False where a rotation made a data key that the configured secret does not open. */
      readonly opensNewestKey: boolean;
      readonly objectCount: number;
      readonly sizeBytes: number;
    };

/** What the server said. */
export type ServerView =
  | Unreachable
  | {
      readonly kind: "reached";
      readonly lsn: string;
      readonly lagBytes: number | undefined;
      readonly slot: "keeps WAL" | "keeps nothing" | "missing";
    };

/** What the server's catalogues tell of what ends badly. */
export type RisksView =
  | Unreachable
  | (SlotsSeen & {
      readonly kind: "reached";
      /** What is sorted by another version than it was: of databases all, of collations those of the database that was asked. */
      readonly changedCollations: readonly CollationVersion[];
      readonly outsideTablespaces: readonly OutsideTablespace[];
    });

/** Everything status looks at. */
export type StatusFacts = {
  readonly now: Instant;
  readonly backupMaxAgeMs: number;
  readonly proofMaxAgeMs: number;
  readonly vault: VaultFacts;
  readonly receiver: ReceiverStatus;
  /** Of a receiver that runs: how long ago it wrote its report; less than nothing when that is dated ahead. */
  readonly reportAgeMs: number | undefined;
  /** It is a stack's: `lifeboat up` starts it. */
  readonly isOfStack: boolean;
  /** A person paused failover of its stack. */
  readonly failoverPaused?: boolean;
  readonly receiverSlot: string;
  readonly server: ServerView;
  readonly risks: RisksView;
};

/** After an update of its system all databases of a server are named: status is one screen, doctor names all. */
const COLLATIONS_SHOWN_MAX = 3;

/** Something that is wrong. */
export type Fault = { readonly code: string; readonly message: string; readonly remedy: string };

/** What is wrong, the worst first; empty when all is well. */
export function faultsOf(facts: StatusFacts): readonly Fault[] {
  return [...vaultFaults(facts), ...receiverFaults(facts), ...serverFaults(facts), ...failoverFaults(facts)];
}

function vaultFaults(facts: StatusFacts): Fault[] {
  const { vault, now, backupMaxAgeMs } = facts;
  if (vault.kind === "unreachable") {
    const message = `the vault could not be looked at: ${vault.message} (${vault.code})`;
    return [{ code: "vault-unreachable", message, remedy: "See `lifeboat doctor`." }];
  }
  const faults: Fault[] = [];
  const again = "Take a new one: lifeboat backup.";
  const anew = "Take a new one: lifeboat backup --full.";
  for (const id of vault.damagedBackups) {
    faults.push({ code: "backup-damaged", message: `backup ${id} is damaged`, remedy: "See `lifeboat vault check`." });
  }
  for (const id of vault.failedProofs) {
    const message = `backup ${id} failed its proof`;
    const remedy = `Prove it again, which says why: lifeboat verify ${id}. If it is damaged, take a new one: lifeboat backup --full.`;
    faults.push({ code: "proof-failed", message, remedy });
  }
  faults.push(...vault.datedAhead.map((each) => aheadFault(each, now)));
  const newest = vault.newestBackup;
  if (newest === undefined) faults.push({ code: "no-backup", message: "there is no backup", remedy: again });
  else {
    const ageMs = now - Date.parse(newest.endedAt);
    if (ageMs > backupMaxAgeMs) {
      const message = `the newest backup is ${describeDuration(ageMs)} old, at most ${describeDuration(backupMaxAgeMs)} is wanted`;
      faults.push({ code: "backup-old", message, remedy: again });
    }
    faults.push(...tablespaceFaults(vault));
    faults.push(...proofFaults(vault.newestProof, facts));
    if (vault.ranges.length === 0) {
      faults.push({ code: "no-range", message: "no backup has the WAL it needs", remedy: anew });
    }
  }
  if (!vault.opensNewestKey) {
    const message =
      "the vault has a newer data key than the configured secret opens: what is stored from here opens for who knows the old one";
    const remedy = "Bring the secret up to date, or add it anew: lifeboat vault key list shows who opens the newest.";
    faults.push({ code: "newest-key-closed", message, remedy });
  }
  for (const id of vault.stranded) {
    const message = `backup ${id} cannot be restored: WAL it needs is not there`;
    faults.push({ code: "backup-stranded", message, remedy: "See `lifeboat points`." });
  }
  for (const { timeline, from, to } of vault.outOfReach) {
    const message = `nothing after ${from} can be restored: WAL is missing from there to ${to} on timeline ${timeline}, and no backup begins behind that`;
    faults.push({ code: "wal-out-of-reach", message, remedy: "Take one now: lifeboat backup." });
  }
  for (const { timeline, to, historyHeld } of vault.unreached) {
    if (!historyHeld) {
      const message = `nothing of timeline ${timeline} can be restored, WAL of which is held up to ${to}: its history is lost from the vault`;
      const remedy = "Run `lifeboat vault repair`. If it finds no history, take a backup at once: lifeboat backup.";
      faults.push({ code: "timeline-history-lost", message, remedy });
      continue;
    }
    const message = `nothing of timeline ${timeline} can be restored, WAL of which is held up to ${to}: no backup leads onto it`;
    faults.push({ code: "timeline-out-of-reach", message, remedy: "Take one now: lifeboat backup." });
  }
  if (vault.gapCount > vault.outOfReach.length) {
    const message = `WAL is missing in ${vault.gapCount} ${vault.gapCount === 1 ? "place" : "places"} between recovery ranges`;
    faults.push({ code: "wal-gap", message, remedy: "See `lifeboat points`; the moments in between are lost." });
  }
  return faults;
}

/** For a time, and soon forgotten: until the next primary dies nothing else shows it. */
function failoverFaults({ failoverPaused = false }: StatusFacts): Fault[] {
  if (!failoverPaused) return [];
  const message = "failover is paused: where the primary ends, nothing takes its place by itself";
  return [{ code: "failover-paused", message, remedy: "When the work is done: lifeboat failover resume." }];
}

/** Its age tells nothing, and for as long as it is there it will. */
function aheadFault({ what, backupId, endedAt }: DatedAhead, now: Instant): Fault {
  const name = what === "backup" ? `backup ${backupId}` : `the newest proof of backup ${backupId}`;
  const message = `${name} is dated ${describeDuration(aheadMs(endedAt, now) ?? 0)} ahead, by a clock that was wrong, here or where it was made`;
  const remedy = `Set that clock. If this machine's is right, take and prove a new backup, then: lifeboat prune --remove ${backupId}.`;
  return { code: `${what}-dated-ahead`, message, remedy };
}

/** Decision 59: the WAL has their paths, and nothing else says where they are to lie. */
function tablespaceFaults({
  newerTablespaces: newer,
  tablespacesUnseen: unseen,
}: Pick<Extract<VaultFacts, { kind: "reached" }>, "newerTablespaces" | "tablespacesUnseen">): Fault[] {
  if (unseen !== undefined) {
    const message = `whether the newest backup has the server's tablespaces could not be seen: ${unseen.message} (${unseen.code})`;
    const remedy = "See `lifeboat vault check`. If it stays so, take a new one: lifeboat backup --full.";
    return [{ code: "tablespaces-unseen", message, remedy }];
  }
  const [first] = newer;
  if (first === undefined) return [];
  const more = newer.length === 1 ? "is" : `and ${newer.length - 1} more are`;
  const message = `tablespace ${first.name} ${more} not in the newest backup: no proof replays its creation, and a restore does only where nothing lies in ${first.location}`;
  return [{ code: "tablespace-not-in-backup", message, remedy: "Take one now: lifeboat backup." }];
}

function proofFaults(newest: StatusProof | undefined, { now, proofMaxAgeMs }: StatusFacts): Fault[] {
  const remedy = "Prove the newest backup: lifeboat verify.";
  if (newest === undefined) return [{ code: "no-proof", message: "no backup is proven by a restore", remedy }];
  const ageMs = now - Date.parse(newest.endedAt);
  if (ageMs <= proofMaxAgeMs) return [];
  const message = `the newest proof is ${describeDuration(ageMs)} old, at most ${describeDuration(proofMaxAgeMs)} is wanted`;
  return [{ code: "proof-old", message, remedy }];
}

function receiverFaults({ receiver, reportAgeMs, isOfStack, vault }: StatusFacts): Fault[] {
  const start = isOfStack ? "Start what is missing of its stack: lifeboat up." : "Start it: lifeboat wal receive.";
  if (receiver.kind === "never-ran") {
    return [{ code: "receiver-never-ran", message: "no receiver ever ran with this spool", remedy: start }];
  }
  const { report } = receiver;
  if (receiver.kind === "not-running") {
    const failed = whyFailed(receiver);
    if (failed !== undefined) {
      const message = `the receiver ended at ${failed.at}: ${failed.message} (${failed.code})`;
      return [{ code: "receiver-not-running", message, remedy: failed.remedy }];
    }
    const message = `the receiver does not run; last seen ${report.mode} at ${report.updatedAt}`;
    return [{ code: "receiver-not-running", message, remedy: start }];
  }
  const faults: Fault[] = [];
  const stale = whyStale(reportAgeMs);
  if (stale !== undefined) {
    const again = isOfStack ? "lifeboat restart receiver" : "stop it, and start it: lifeboat wal receive";
    const message = `nothing is known of the receiver: ${stale}`;
    faults.push({ code: "receiver-silent", message, remedy: `Unless it speaks by itself: ${again}.` });
  }
  // It asks for a backup for as long as it runs; whether there is one by now, the vault knows.
  const wanted = report.alarms.filter(({ kind }) => kind !== "gap" || !isBackedUpBehind(report.gaps, vault));
  const alarms = wanted.map((alarm) => ({
    code: `receiver-${alarm.kind}`,
    message: alarm.message,
    remedy: remedyOf(alarm, report),
  }));
  return [...faults, ...alarms];
}

/** Whether moments behind each gap can be restored. */
function isBackedUpBehind(gaps: ReceiverReport["gaps"], vault: VaultFacts): boolean {
  if (vault.kind === "unreachable") return false;
  return gaps.every((gap) =>
    vault.ranges.some((range) => range.timeline >= gap.timeline && parseLsn(range.from) >= parseLsn(gap.to)),
  );
}

function serverFaults({ server, risks, receiverSlot, isOfStack }: StatusFacts): Fault[] {
  if (server.kind === "unreachable") {
    const message = `the server does not answer: ${server.message} (${server.code})`;
    return [{ code: "server-unreachable", message, remedy: "Start the server, or recover: lifeboat points." }];
  }
  if (risks.kind === "unreachable") {
    const message = `the server's slots and collations could not be looked at: ${risks.message} (${risks.code})`;
    return [...slotFaults(server), { code: "risks-unseen", message, remedy: "See `lifeboat doctor`." }];
  }
  const receiver = { slot: receiverSlot, start: isOfStack ? "lifeboat up" : "lifeboat wal receive" };
  const slots = slotRisks(risks, receiver);
  const collations = collationRisk(risks.changedCollations, COLLATIONS_SHOWN_MAX);
  return [
    // What an invalidated slot keeps is nothing: said once, with the reason.
    ...(slots.some(({ slot }) => slot === receiverSlot) ? [] : slotFaults(server)),
    ...slots.map(({ kind, message, remedy }) => ({ code: kind, message, remedy })),
    ...(collations === undefined ? [] : [{ code: "collation-changed", ...collations }]),
  ];
}

function slotFaults({ slot }: Extract<ServerView, { readonly kind: "reached" }>): Fault[] {
  if (slot === "keeps WAL") return [];
  const message = slot === "missing" ? "the receiver's slot is missing" : "the receiver's slot keeps no WAL";
  return [{ code: "slot", message, remedy: "See `lifeboat doctor`." }];
}
