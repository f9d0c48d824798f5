/**
 * What a demo measured, as programs read it; cli/demo.ts makes prose of it.
 */

/** What is asked of a demo. */
export type DemoChoice = {
  /** Leave the folders and the restored servers for a look. */
  readonly keep: boolean;
  /** Wanted size of the database. */
  readonly sizeBytes: number;
  /** How long the client writes before the disaster, at least. */
  readonly seconds: number;
  readonly pg: "15" | "16" | "17" | "18";
  readonly durability: "async" | "quorum";
};

/** A part of a recovery. */
export type RecoveryPart = { readonly what: string; readonly durationMs: number };

/** How the client's writes fared. Counts of writes. */
export type WriteFacts = {
  /** Acknowledged by the server before it was killed, by the client's synced ledger. */
  readonly acknowledged: number;
  /** Of these, not there after the recovery. */
  readonly missing: number;
  /** Of these, there and not what was written. */
  readonly damaged: number;
  /** From the oldest missing write to the server's end; 0 when none is missing. */
  readonly missingSpanMs: number;
  /** Sent, and never answered: the server may have kept them or not. */
  readonly unknown: number;
  /** Of the unknown ones, there after the recovery. */
  readonly unknownPresent: number;
  /** Acknowledged by the restored server. */
  readonly acknowledgedAfter: number;
  /** From the scheduled arrival to the answer, before the disaster. */
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
};

/** The backup that was taken while the client wrote. */
export type DemoBackupFacts = {
  readonly backupId: string;
  readonly dataBytes: number;
  readonly storedBytes: number;
  readonly durationMs: number;
  /** Writes acknowledged while it was taken. */
  readonly acknowledgedMeanwhile: number;
};

/** The recovery to the newest point. The parts add up to the total. */
export type RecoveryFacts = {
  /** From the first request that failed until the client's first acknowledged write. */
  readonly totalMs: number;
  readonly parts: readonly RecoveryPart[];
};

/** The rows that a mistaken DELETE took, and the second restore, to just before it. */
export type DeletionFacts = {
  readonly table: string;
  /** The moment restored to, by the server's clock: ISO 8601. */
  readonly before: string;
  readonly deletedRows: number;
  /** Rows in the newest state: the mistake is committed work, so it is there too. */
  readonly rowsAtNewestPoint: number;
  readonly foundRows: number;
  /** Whether count and checksum over all rows are what they were before the DELETE. */
  readonly same: boolean;
  readonly samples: readonly string[];
  /** From the start of this restore until its rows were read. */
  readonly durationMs: number;
  readonly parts: readonly RecoveryPart[];
  /** Writes acknowledged before that moment, and how many of them are not in the restored server. */
  readonly acknowledgedBefore: number;
  readonly missing: number;
};

/** A line of the scorecard: a target of the runbook's quick reference and what was measured. */
export type ScorecardRow = {
  readonly scenario: string;
  readonly rtoTargetMs: number;
  readonly rtoMs: number;
  readonly rpoTargetMs: number;
  /** Time whose acknowledged writes are missing. */
  readonly rpoMs: number;
  readonly missingWrites: number;
};

/** What was left for a look. */
export type KeptFacts = {
  readonly folder: string;
  /** How to call this program. */
  readonly command: string;
  readonly configFile: string;
  readonly database: string;
  readonly user: string;
  readonly socketFolder: string;
  /** The restored servers, which run. */
  readonly servers: readonly { readonly what: string; readonly port: number; readonly dataFolder: string }[];
  /** Ends the servers and removes the folder. */
  readonly removeScript: string;
};

/** Everything a demo measured. */
export type DemoFacts = {
  readonly durability: DemoChoice["durability"];
  /** How long the receiver held everything back. */
  readonly receiverDelayMs: number;
  /** For example `16.14`. */
  readonly postgresVersion: string;
  readonly database: { readonly sizeBytes: number; readonly productCount: number; readonly priceCount: number };
  readonly backup: DemoBackupFacts;
  readonly writes: WriteFacts;
  readonly recovery: RecoveryFacts;
  readonly deletion: DeletionFacts;
  readonly scorecard: readonly ScorecardRow[];
  /** Twenty titles of products, picked at random from the restored database. */
  readonly titles: readonly string[];
  readonly durationMs: number;
  /** Undefined when nothing was kept. */
  readonly kept: KeptFacts | undefined;
};

/** Parts in whole milliseconds, and their sum. */
export function recoveryOf(parts: readonly RecoveryPart[]): RecoveryFacts {
  const whole = parts.map(({ what, durationMs }) => ({ what, durationMs: Math.round(durationMs) }));
  return { totalMs: whole.reduce((sum, part) => sum + part.durationMs, 0), parts: whole };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The rows of the runbook's quick reference that a demo measures. */
export function scorecardOf(measured: Pick<DemoFacts, "recovery" | "deletion" | "writes">): readonly ScorecardRow[] {
  const { recovery, deletion, writes } = measured;
  return [
    {
      scenario: "DB Primary Failure",
      rtoTargetMs: 5 * MINUTE_MS,
      rtoMs: recovery.totalMs,
      rpoTargetMs: HOUR_MS,
      rpoMs: writes.missingSpanMs,
      missingWrites: writes.missing + writes.damaged,
    },
    {
      scenario: "Data Corruption",
      rtoTargetMs: 2 * HOUR_MS,
      rtoMs: deletion.durationMs,
      rpoTargetMs: HOUR_MS,
      rpoMs: 0,
      missingWrites: deletion.missing,
    },
  ];
}

/** Whether a demo showed what it has to: in quorum mode nothing is missing, and in every mode the deleted rows are back. */
export function isProven({ durability, writes, deletion }: DemoFacts): boolean {
  const kept = writes.damaged === 0 && (durability === "async" || writes.missing === 0);
  return kept && deletion.same && deletion.missing === 0;
}
