/**
 * What a repair of a vault will do, decided from what a check found. Pure: the dry run prints this value and the repair runs
 * it.
 *
 * Invariants: nothing that may still be of use is taken away: what is set aside is kept under another name, and only records
 * that do not open are; packs and manifests stay where they are, since part of a damaged pack may still be read, and so does
 * WAL, since what is there and damaged is unknown, never absent; a proof that does not open stays while it is its backup's
 * newest, since it may tell of a failure; what a secret does not open, or a later version wrote, is no damage.
 */
import type { BackupRecord } from "./backups.ts";
import type { Finding, VaultReport } from "./check.ts";
import { parseProofName, parseWalKey } from "./names.ts";
import { PROGRAMS_PREFIX } from "./restore-program.ts";
import { opensForOthers } from "./unopened.ts";

/** One thing a repair does. */
export type RepairStep =
  /** An announcement that does not open is set aside; that, or one that is gone, is made again from the manifest; all that it needs is there. */
  | { readonly kind: "announce-again"; readonly object: string; readonly backup: BackupRecord }
  /** A segment or history that is missing or does not open is stored again from the receiver's spool. */
  | { readonly kind: "refill"; readonly object: string; readonly missing: boolean }
  /** The vault's marker, the copy of it or the restore program is stored; what lay there is set aside. */
  | { readonly kind: "store-again"; readonly object: string; readonly missing: boolean }
  /** A record that does not open, and that nothing rests on, is set aside. */
  | { readonly kind: "set-aside"; readonly object: string; readonly finding: Finding }
  /** A backup that cannot be restored is said to be so, by a proof that failed. */
  | { readonly kind: "mark"; readonly backup: BackupRecord; readonly findings: readonly Finding[] };

/** What a repair does, in this order, and what it can do nothing about. */
export type RepairPlan = { readonly steps: readonly RepairStep[]; readonly left: readonly Finding[] };

/** What a repair is decided from. */
export type RepairFacts = {
  readonly report: VaultReport;
  /** By the object of an announcement that is damaged, or that a repair set aside and did not make again: the backup as its manifest tells of it, and what is wrong with that. */
  readonly remade: ReadonlyMap<string, { readonly backup: BackupRecord; readonly findings: readonly Finding[] }>;
  /** Objects of WAL whose content the spool has. */
  readonly spooled: ReadonlySet<string>;
  /** The vault's marker, the copy of it and the restore program, where what is to lie there is at hand. */
  readonly storable: ReadonlySet<string>;
  /** Backups whose newest proof failed already. */
  readonly marked: ReadonlySet<string>;
  /** Objects of proofs that do not open, of backups that were proven again since. */
  readonly outdated: ReadonlySet<string>;
};

/** Decides. Every finding leads to a step or is left; what a step mends no longer keeps a backup from being whole. */
export function planRepair(facts: RepairFacts): RepairPlan {
  const { report, remade, spooled, marked } = facts;
  const steps: RepairStep[] = report.lacking
    .filter((object) => facts.storable.has(object))
    .map((object) => ({ kind: "store-again", object, missing: true }));
  const left: Finding[] = [];
  for (const finding of allFindings(report)) {
    const step = stepFor(finding, facts);
    if (step !== undefined) steps.push(step);
    else left.push(finding);
  }
  for (const [object, again] of remade) {
    if (steps.some((step) => step.kind === "announce-again" && step.object === object)) continue;
    const gone = report.unfinished.some(({ backupId }) => backupId === again.backup.backupId);
    if (gone && canRemake(again, spooled)) steps.push({ kind: "announce-again", object, backup: again.backup });
  }
  // An announcement is made again when what it needs is there.
  steps.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const mended = new Set(steps.flatMap((step) => (step.kind === "refill" ? [step.object] : [])));
  for (const { backup, whole, findings } of report.backups) {
    const remaining = findings.filter(({ object, reason }) => !mended.has(object) && !opensForOthers(reason));
    if (whole || remaining.length === 0 || marked.has(backup.backupId)) continue;
    steps.push({ kind: "mark", backup, findings: remaining });
  }
  return { steps, left };
}

const ORDER = ["store-again", "refill", "set-aside", "announce-again", "mark"];

/** Each object once, however many backups need it. */
function allFindings(report: VaultReport): readonly Finding[] {
  const byObject = new Map<string, Finding>();
  for (const finding of [...report.findings, ...report.backups.flatMap(({ findings }) => findings)]) {
    if (!byObject.has(finding.object)) byObject.set(finding.object, finding);
  }
  return [...byObject.values()];
}

function stepFor(finding: Finding, facts: RepairFacts): RepairStep | undefined {
  const { object, reason } = finding;
  const missing = reason.code === "vault.object-missing" || reason.code === "store.object-missing";
  // Sealed for another secret, or by a later version: whole for somebody else.
  if (!missing && reason.code !== "vault.object-damaged") return undefined;
  if (facts.storable.has(object)) return { kind: "store-again", object, missing };
  // Left where there is nothing better: without its name, unknown would become absent, and a restore would end before it.
  if (parseWalKey(object) !== undefined) {
    return facts.spooled.has(object) ? { kind: "refill", object, missing } : undefined;
  }
  // An announcement that is missing is one that a manifest tells of.
  if (missing) return announceAgain(object, facts);
  // What whoever runs it would trust: better none.
  if (object.startsWith(PROGRAMS_PREFIX)) return { kind: "set-aside", object, finding };
  // Without its name a backup that failed would count as one of which nothing is known.
  if (parseProofName(object) !== undefined) {
    return facts.outdated.has(object) ? { kind: "set-aside", object, finding } : undefined;
  }
  return announceAgain(object, facts);
}

function announceAgain(object: string, facts: Pick<RepairFacts, "remade" | "spooled">): RepairStep | undefined {
  const again = facts.remade.get(object);
  if (again === undefined || !canRemake(again, facts.spooled)) return undefined;
  return { kind: "announce-again", object, backup: again.backup };
}

/** All that the backup needs is there, or will be. */
function canRemake(again: { readonly findings: readonly Finding[] }, spooled: ReadonlySet<string>): boolean {
  return again.findings.every(({ object }) => spooled.has(object));
}
