/**
 * What `bench delta` is asked and what it will do. Pure.
 */
import { type BenchPlan, type PlanFacts, planWith } from "./plan.ts";

/** The peers whose chains of backups can be measured against. */
export const CHAIN_PEERS = ["pgbackrest", "pgbackrest-block"] as const;

/** A peer. */
export type ChainPeer = (typeof CHAIN_PEERS)[number];

/** What is asked. */
export type DeltaRequest = {
  readonly mib: number;
  /** How often whatever can be repeated on one chain is. */
  readonly runs: number;
  /** How many backups the chain has: a full one, `runs` without a change before them, the others after an update. */
  readonly backups: number;
  readonly peers: readonly ChainPeer[];
  /** `whole`: make a chain and measure all of it; `keep`: and leave it there; `kept`: restore from the one that was left. */
  readonly chain: "whole" | "keep" | "kept";
};

const MIB = 1024 ** 2;
/** A copy of the base, its WAL up to max_wal_size, each tool's chain and WAL, and a restored server. Of ten backups. */
const BYTES_PER_BYTE = 6;
const BYTES_PER_BYTE_AND_TOOL = 2.2;

/** How many backups follow an update. */
export function updatesOf({ backups, runs }: DeltaRequest): number {
  return backups - 1 - runs;
}

/** Plans. */
export function planDelta(request: DeltaRequest, facts: PlanFacts): BenchPlan {
  const { mib, runs, peers } = request;
  if (request.chain === "kept") {
    const steps = [
      `restore the last of the chain that was kept, update 1 % there, and restore it in place: ${runs} times`,
    ];
    return planWith(facts, { peers, sizesMib: [], bytes: 2 * mib * MIB, steps });
  }
  const tools = ["Lifeboat", ...peers];
  const times = runs === 1 ? "once" : `${runs} times`;
  const steps = [
    `copy it (${mib} MiB), start the copy, take a full backup with ${tools.join(", ")}, and restore it ${times}`,
    `take ${runs} more without a change; read the same stream and throw it away as often`,
    `update 1 % of the products and back up, ${updatesOf(request)} times`,
    `restore the last of ${request.backups} backups, update 1 % there, and restore it in place: ${times}`,
  ];
  const bytes = mib * MIB * (BYTES_PER_BYTE + BYTES_PER_BYTE_AND_TOOL * tools.length);
  return planWith(facts, { peers, sizesMib: [mib], bytes, steps });
}
