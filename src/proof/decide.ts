/**
 * What the proofs of a backup say about it now. Pure.
 *
 * Nouns: the *standing* of a backup is what its proofs come to, read from the oldest to the newest.
 * Invariants: a failure stands until a later proof showed at least the depth that failed; a later failure takes back what
 * was shown before; a record that does not open may be of a failure, so it takes back too.
 */
import type { MeasuredRates } from "../restore/estimate.ts";
import type { BackupId } from "../vault/names.ts";
import { PROOF_DEPTHS, type ProofDepth, type ProofListing, type ProofRecord } from "../vault/proofs.ts";

/** What the proofs of one backup come to. */
export type Standing =
  | { readonly kind: "none" }
  /** `proof` is the newest that showed `depth`, the deepest that stands. */
  | { readonly kind: "proven"; readonly depth: ProofDepth; readonly proof: ProofRecord }
  | { readonly kind: "failed"; readonly proof: ProofRecord }
  /** The newest record does not open. */
  | { readonly kind: "unreadable" };

/** True when a depth is at least as deep as another. */
export function isAtLeast(depth: ProofDepth, least: ProofDepth): boolean {
  return PROOF_DEPTHS.indexOf(depth) >= PROOF_DEPTHS.indexOf(least);
}

/** The standing of every backup that has a proof. */
export function standings(listing: ProofListing): ReadonlyMap<BackupId, Standing> {
  const found = new Map<BackupId, Standing>();
  for (const proof of listing.proofs) {
    found.set(proof.backupId, after(found.get(proof.backupId) ?? { kind: "none" }, proof));
  }
  for (const { backupId, proofId } of listing.damaged) {
    const newest = listing.proofs.findLast((proof) => proof.backupId === backupId);
    if (newest === undefined || newest.proofId < proofId) found.set(backupId, { kind: "unreadable" });
  }
  return found;
}

function after(before: Standing, proof: ProofRecord): Standing {
  if (proof.failedAt !== null) return { kind: "failed", proof };
  const depth = proof.reached;
  if (depth === null) return before;
  if (before.kind === "failed") {
    const { failedAt } = before.proof;
    return failedAt !== null && isAtLeast(depth, failedAt) ? { kind: "proven", depth, proof } : before;
  }
  if (before.kind === "proven" && !isAtLeast(depth, before.depth)) return before;
  return { kind: "proven", depth, proof };
}

/** From this depth on a backup counts as proven before all that are not: it was restored and came up. */
const KEPT_FROM: ProofDepth = "booted";

/** What a prune must know of the proofs of a backup. */
type RetainedProof = "booted" | "shown" | "failed" | "unreadable";

/** What a prune must know of proofs: the backups that came up, those of which less was shown, those that failed, and those of which nobody knows. */
export function retainedProofs(listing: ProofListing): ReadonlyMap<BackupId, RetainedProof> {
  const retained = new Map<BackupId, RetainedProof>();
  for (const [backupId, standing] of standings(listing)) {
    if (standing.kind === "none") continue;
    if (standing.kind !== "proven") retained.set(backupId, standing.kind);
    else retained.set(backupId, isAtLeast(standing.depth, KEPT_FROM) ? "booted" : "shown");
  }
  return retained;
}

/** The backups whose newest proof failed or does not open: another one is to be preferred. */
export function doubtedBackups(listing: ProofListing): ReadonlySet<BackupId> {
  const doubted = new Set<BackupId>();
  for (const [backupId, { kind }] of standings(listing)) {
    if (kind === "failed" || kind === "unreadable") doubted.add(backupId);
  }
  return doubted;
}

/** Below this the fixed costs of a restore hide its rate. */
const MEASURED_BYTES_MIN = 64 * 1024 * 1024;

/** The rates of the newest proof that restored enough, on this machine if there is one, else on any. */
export function measuredRates(proofs: readonly ProofRecord[], host: string): MeasuredRates {
  const own = proofs.filter((proof) => proof.host === host);
  const rate = (bytesOf: (proof: ProofRecord) => number, phase: "restore" | "recover"): number | undefined => {
    const measured = (among: readonly ProofRecord[]): number | undefined => {
      const proof = among.findLast((each) => each.pointLsn !== null && bytesOf(each) >= MEASURED_BYTES_MIN);
      const durationMs = proof?.phases.find((each) => each.phase === phase)?.durationMs ?? 0;
      return proof === undefined || durationMs === 0 ? undefined : bytesOf(proof) / (durationMs / 1000);
    };
    return measured(own) ?? measured(proofs);
  };
  return {
    writeBytesPerS: rate((proof) => proof.restoredBytes, "restore"),
    replayBytesPerS: rate((proof) => proof.walBytes, "recover"),
  };
}
