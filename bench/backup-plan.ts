/**
 * What `bench backup` is asked and what it will do. Pure.
 */

/** The peers that can be measured against. */
export const PEERS = ["pg_basebackup", "pgbackrest"] as const;

/** A peer. */
export type Peer = (typeof PEERS)[number];

/** What is asked. */
export type BackupRequest = {
  readonly mib: number;
  readonly runs: number;
  readonly peers: readonly Peer[];
  readonly restore: boolean;
  readonly scale: boolean;
};

/** What must be known to plan. */
export type BackupFacts = {
  readonly cacheFolder: string;
  readonly freeBytes: number;
  readonly pgBackRestInstalled: boolean;
  /** Sizes in MiB whose base is there already. */
  readonly basesThere: readonly number[];
};

/** What will be done: printed by the dry run, and followed. */
export type BackupPlan = {
  /** Sizes in MiB, smallest first. Peers are measured on the last one only. */
  readonly sizesMib: readonly number[];
  readonly steps: readonly string[];
  readonly diskBytes: number;
  /** Why it cannot be done. */
  readonly problem: string | undefined;
};

const MIB = 1024 ** 2;
const SCALE_FACTOR = 4;
/** A base and the WAL that its making leaves (measured: 4.1 GiB for 2 GiB). */
const BASE_BYTES_PER_BYTE = 2.2;
/** An uncompressed backup, and what little the others need: they are made and removed one after another. */
const RUN_BYTES_PER_BYTE = 1.2;
const RESTORE_BYTES_PER_BYTE = 1.2;
/** An empty cluster, and a segment or two of WAL in every place. */
const BYTES_MIN = 512 * MIB;

/** Plans. */
export function planBackup(request: BackupRequest, facts: BackupFacts): BackupPlan {
  const { mib } = request;
  const sizesMib = request.scale ? [Math.max(1, Math.round(mib / SCALE_FACTOR)), mib] : [mib];
  const missing = sizesMib.filter((size) => !facts.basesThere.includes(size));
  const diskBytes = Math.ceil(
    BYTES_MIN * (1 + missing.length) +
      missing.reduce((sum, size) => sum + size * MIB * BASE_BYTES_PER_BYTE, 0) +
      mib * MIB * (RUN_BYTES_PER_BYTE + (request.restore ? RESTORE_BYTES_PER_BYTE : 0)),
  );
  const problem =
    facts.freeBytes < diskBytes
      ? `too little disk: ${gib(facts.freeBytes)} are free below ${facts.cacheFolder}, ${gib(diskBytes)} are needed; ` +
        "free some, choose a smaller --mib, or name a folder on another disk with --folder"
      : undefined;
  return { sizesMib, steps: stepsOf(request, facts, { sizesMib, missing }), diskBytes, problem };
}

function stepsOf(
  request: BackupRequest,
  facts: BackupFacts,
  sizes: { readonly sizesMib: readonly number[]; readonly missing: readonly number[] },
): readonly string[] {
  const steps: string[] = [];
  if (request.peers.includes("pgbackrest") && !facts.pgBackRestInstalled) {
    steps.push("install Debian's package pgbackrest (apt-get update, apt-get install)");
  }
  for (const size of sizes.missing) {
    steps.push(`make a PostgreSQL 15 cluster of ${size} MiB in ${facts.cacheFolder} and keep it there`);
  }
  for (const size of sizes.sizesMib) {
    const tools = size === request.mib ? ["Lifeboat", ...request.peers] : ["Lifeboat"];
    const restoring = request.restore && size === request.mib ? " and restore" : "";
    steps.push(`start it (${size} MiB), back up${restoring} ${request.runs} times in turns with ${tools.join(", ")}`);
  }
  return [...steps, `stop the server and remove ${facts.cacheFolder}/run`];
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
