/**
 * What `bench backup` is asked and what it will do. Pure.
 */
import { type BenchPlan, type PlanFacts, planWith } from "./plan.ts";

/** The peers that can be measured against. */
export const BACKUP_PEERS = ["pg_basebackup", "pgbackrest", "pgbackrest-block"] as const;

/** A peer. */
export type BackupPeer = (typeof BACKUP_PEERS)[number];

/** What is asked. */
export type BackupRequest = {
  readonly mib: number;
  readonly runs: number;
  readonly peers: readonly BackupPeer[];
  readonly restore: boolean;
  readonly scale: boolean;
};

/** What will be done. */
export type BackupPlan = BenchPlan & {
  /** Sizes in MiB, smallest first. Peers are measured on the last one only. */
  readonly sizesMib: readonly number[];
};

const MIB = 1024 ** 2;
const SCALE_FACTOR = 4;
/** An uncompressed backup, and what little the others need: they are made and removed one after another. */
const RUN_BYTES_PER_BYTE = 1.2;
const RESTORE_BYTES_PER_BYTE = 1.2;

/** The sizes in MiB that a request works on, smallest first. */
export function sizesOf({ mib, scale }: BackupRequest): readonly number[] {
  return scale ? [Math.max(1, Math.round(mib / SCALE_FACTOR)), mib] : [mib];
}

/** Plans. */
export function planBackup(request: BackupRequest, facts: PlanFacts): BackupPlan {
  const { mib, peers, restore } = request;
  const sizesMib = sizesOf(request);
  const steps = sizesMib.map((size) => {
    const tools = size === mib ? ["Lifeboat", ...peers] : ["Lifeboat"];
    const restoring = restore && size === mib ? " and restore" : "";
    return `start it (${size} MiB), back up${restoring} ${request.runs} times in turns with ${tools.join(", ")}`;
  });
  const bytes = mib * MIB * (RUN_BYTES_PER_BYTE + (restore ? RESTORE_BYTES_PER_BYTE : 0));
  return { sizesMib, ...planWith(facts, { peers, sizesMib, bytes, steps }) };
}
