/**
 * What `bench during` is asked and what it will do. Pure.
 */
import type { ChainPeer } from "./delta-plan.ts";
import { type BenchPlan, type PlanFacts, planWith } from "./plan.ts";

/** What is asked. */
export type DuringRequest = {
  readonly mib: number;
  readonly runs: number;
  /** Of load in each round. */
  readonly seconds: number;
  readonly peers: readonly ChainPeer[];
};

const MIB = 1024 ** 2;
/** A copy of the base, its WAL up to max_wal_size, and one backup at a time with its WAL. */
const BYTES_PER_BYTE = 7;

/** Plans. */
export function planDuring(request: DuringRequest, facts: PlanFacts): BenchPlan {
  const { mib, runs, seconds, peers } = request;
  const steps = [
    `copy it (${mib} MiB), start the copy and find the rate of transactions that it bears`,
    `load it at half that rate for ${seconds} s, ${runs} times in turns: alone, during a full backup with ` +
      ["Lifeboat", ...peers].join(", "),
  ];
  return planWith(facts, { peers, sizesMib: [mib], bytes: mib * MIB * BYTES_PER_BYTE, steps });
}
