/**
 * What `bench scale` is asked and what it will do. Pure.
 */
import { type BenchPlan, type PlanFacts, planWith } from "./plan.ts";

/** What looks through a whole vault. */
export const SCALE_LOOKS = ["backups", "check", "prune", "points"] as const;

/** One of them. */
export type ScaleLook = (typeof SCALE_LOOKS)[number];

/** What is asked. */
export type ScaleRequest = {
  /** Sizes of databases in MiB; may be none. */
  readonly sizesMib: readonly number[];
  /** How many objects the simulated vaults have; may be none. */
  readonly objectCounts: readonly number[];
  readonly runs: number;
};

/** 0.1, 0.5, 2 and 8 GiB. */
export const SIZES_MIB_DEFAULT = [102, 512, 2048, 8192] as const;
/** To a million. */
export const OBJECT_COUNTS_DEFAULT = [1_000, 10_000, 100_000, 1_000_000] as const;

const MIB = 1024 ** 2;
/** Of a base of this size larger ones are made, by copying its tables: to load as much anew takes 12 minutes for 8 GiB. */
export const LOADED_MIB_MAX = 2048;
/** The copy, its WAL, a backup and a restored server. */
const BYTES_PER_BYTE = 3.6;

/** The base that a size is measured on. */
export function baseOf(sizeMib: number): number {
  return Math.min(sizeMib, LOADED_MIB_MAX);
}

/** Plans. */
export function planScale(request: ScaleRequest, facts: PlanFacts): BenchPlan {
  const { sizesMib, objectCounts, runs } = request;
  const largest = Math.max(0, ...sizesMib);
  const steps = sizesMib.map((mib) => {
    const grown = mib > LOADED_MIB_MAX ? `, copy its tables until it has ${mib} MiB` : "";
    return `copy a base of ${baseOf(mib)} MiB${grown}, back it up and restore it with Lifeboat, ${runs} times`;
  });
  if (objectCounts.length > 0) {
    steps.push(`${SCALE_LOOKS.join(", ")} of simulated vaults of ${objectCounts.join(", ")} objects, ${runs} times`);
  }
  const bytes = largest * MIB * BYTES_PER_BYTE;
  return planWith(facts, { peers: [], sizesMib: [...new Set(sizesMib.map(baseOf))], bytes, steps });
}
