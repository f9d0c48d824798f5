/**
 * What a benchmark will do, said before it is done: printed by the dry run, and followed. Pure.
 */

/** What must be known to plan. */
export type PlanFacts = {
  readonly cacheFolder: string;
  readonly freeBytes: number;
  readonly pgBackRestInstalled: boolean;
  readonly newerPgBackRestFetched: boolean;
  /** Sizes in MiB whose base is there already. */
  readonly basesThere: readonly number[];
};

/** What will be done. */
export type BenchPlan = {
  readonly steps: readonly string[];
  readonly diskBytes: number;
  /** Why it cannot be done. */
  readonly problem: string | undefined;
};

const MIB = 1024 ** 2;
/** A base and the WAL that its making leaves (measured: 4.1 GiB for 2 GiB). */
export const BASE_BYTES_PER_BYTE = 2.2;
/** An empty cluster, and a segment or two of WAL in every place. */
const BYTES_MIN = 512 * MIB;

/** Plans a benchmark: `steps` are its own, `bytes` what it needs for a run besides bases that are missing. */
export function planWith(
  facts: PlanFacts,
  wanted: {
    readonly peers: readonly string[];
    readonly sizesMib: readonly number[];
    readonly bytes: number;
    readonly steps: readonly string[];
  },
): BenchPlan {
  const { cacheFolder } = facts;
  const missing = wanted.sizesMib.filter((size) => !facts.basesThere.includes(size));
  const baseBytes = missing.reduce((sum, size) => sum + size * MIB * BASE_BYTES_PER_BYTE, 0);
  const diskBytes = Math.ceil(BYTES_MIN * (1 + missing.length) + baseBytes + wanted.bytes);
  const steps: string[] = [];
  if (wanted.peers.includes("pgbackrest") && !facts.pgBackRestInstalled) {
    steps.push("install Debian's package pgbackrest (apt-get update, apt-get install)");
  }
  if (wanted.peers.includes("pgbackrest-block") && !facts.newerPgBackRestFetched) {
    steps.push(`fetch pgBackRest of Debian 13 (26 MB) into ${cacheFolder}/tools, without installing it, and keep it`);
  }
  for (const size of missing) {
    steps.push(`make a PostgreSQL 15 cluster of ${size} MiB in ${cacheFolder} and keep it there`);
  }
  steps.push(...wanted.steps, `stop the server and remove ${cacheFolder}/run`);
  const problem =
    facts.freeBytes < diskBytes
      ? `too little disk: ${gib(facts.freeBytes)} are free below ${cacheFolder}, ${gib(diskBytes)} are needed; ` +
        "free some, choose a smaller --mib, or name a folder on another disk with --folder"
      : undefined;
  return { steps, diskBytes, problem };
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
