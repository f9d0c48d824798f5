/**
 * Reads `global/pg_control`, the file that says what a data directory is and where its recovery begins.
 *
 * Nouns: the *checkpoint* is the last one that was completed, with its *redo* position, where replay begins; the *minimum
 * recovery point* is how far replay must go before the data are consistent; *capacity* are settings of the primary below
 * which a standby or a restored server refuses to start.
 * Invariants: nothing is read from a file whose CRC does not fit; versions, byte orders and block sizes that Lifeboat was
 * not tested with are refused (safety rule A7).
 * Source: PostgreSQL's src/include/catalog/pg_control.h of 15 to 18; the manual's "pg_controldata".
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { crc32c } from "./crc32c.ts";
import type { Major } from "./installation.ts";
import type { Lsn, SystemId, Timeline } from "./lsn.ts";

/** The path of the control file in a data directory. */
export const CONTROL_FILE_PATH = "global/pg_control";

/** The size of the file; the fields take less than 300 bytes of it, the rest is zero. */
export const CONTROL_FILE_BYTES = 8192;

/** The only size of a page that Lifeboat takes (safety rule A7). */
export const BLOCK_BYTES = 8192;

const STATES = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
] as const;

/** What the server was doing when it wrote the file. */
export type ClusterState = (typeof STATES)[number];

const WAL_LEVELS = ["minimal", "replica", "logical"] as const;

/** How much the WAL tells. */
export type WalLevel = (typeof WAL_LEVELS)[number];

/** The last completed checkpoint. */
export type Checkpoint = {
  /** Where its record begins. */
  readonly lsn: Lsn;
  readonly redoLsn: Lsn;
  readonly timeline: Timeline;
  readonly previousTimeline: Timeline;
  readonly fullPageWrites: boolean;
  /** The next transaction id, 64 bits: epoch in the upper half. */
  readonly nextXid: bigint;
  readonly nextOid: number;
  readonly nextMultixact: number;
  readonly nextMultixactOffset: number;
  readonly oldestXid: number;
  readonly oldestXidDatabaseOid: number;
  readonly oldestMultixact: number;
  readonly oldestMultixactDatabaseOid: number;
  /** When it began, by the server's clock, to the second. */
  readonly startedAt: Instant;
  readonly oldestCommitTimestampXid: number;
  readonly newestCommitTimestampXid: number;
  readonly oldestActiveXid: number;
};

/** The contents of a control file. Sizes are bytes unless the name says otherwise. */
export type ControlFile = {
  readonly major: Major;
  readonly controlVersion: number;
  readonly catalogVersion: number;
  readonly systemId: SystemId;
  readonly state: ClusterState;
  /** When the file was written, by the server's clock, to the second. */
  readonly writtenAt: Instant;
  readonly checkpoint: Checkpoint;
  /** A counter for pages of unlogged relations; no position in the WAL. */
  readonly unloggedLsn: Lsn;
  /** 0/0 unless in recovery; its timeline is then undefined. */
  readonly minRecovery: { readonly lsn: Lsn; readonly timeline: Timeline | undefined };
  /** 0/0 unless the end of a backup is still to be reached. */
  readonly backupStartLsn: Lsn;
  readonly backupEndLsn: Lsn;
  readonly backupEndRequired: boolean;
  readonly walLevel: WalLevel;
  readonly walLogHints: boolean;
  readonly capacity: {
    readonly maxConnections: number;
    readonly maxWorkerProcesses: number;
    readonly maxWalSenders: number;
    readonly maxPreparedTransactions: number;
    readonly maxLocksPerTransaction: number;
  };
  readonly trackCommitTimestamp: boolean;
  /** 0: pages carry no checksums. */
  readonly dataChecksumVersion: number;
  readonly walSegmentBytes: number;
  readonly walBlockBytes: number;
  readonly blockBytes: number;
  /** Blocks per segment file of a relation: 131072 make 1 GiB. */
  readonly segmentBlocks: number;
  /** What else was fixed when the programs were compiled; a server refuses a directory that differs. */
  readonly build: {
    readonly maxAlign: number;
    readonly floatFormat: number;
    readonly nameBytes: number;
    readonly indexKeysMax: number;
    readonly toastChunkBytes: number;
    readonly largeObjectChunkBytes: number;
    readonly float8ByValue: boolean;
    /** From 18 on; undefined before. */
    readonly defaultCharSigned: boolean | undefined;
  };
};

/** A catalog version belongs to one major: a beta or a fork has another, and another format perhaps. */
const RELEASES: Readonly<Record<number, { readonly major: Major; readonly controlVersion: number }>> = {
  202209061: { major: 15, controlVersion: 1300 },
  202307071: { major: 16, controlVersion: 1300 },
  202406281: { major: 17, controlVersion: 1700 },
  202506291: { major: 18, controlVersion: 1800 },
};

/** What pg_control.h defines for a machine that reads numbers as this one does; from there, alignment 8. */
const FLOAT_FORMAT = 1234567;

/** Where the CRC stands. 18 put a byte before the 32 random bytes that precede it. */
const CRC_OFFSET: Readonly<Record<number, number>> = { 1300: 288, 1700: 288, 1800: 292 };

/**
 * Reads a control file. Throws `postgres.control-file-damaged` (too short, wrong CRC, impossible values: read it again
 * when a server runs on it, since it may have been half written), `postgres.version-unsupported`,
 * `postgres.byte-order-unsupported` or `postgres.block-size-unsupported`. `name` is for messages.
 */
export function parseControlFile(bytes: Buffer, name = CONTROL_FILE_PATH): ControlFile {
  if (bytes.byteLength < CONTROL_FILE_BYTES) {
    throw damaged(name, `it has ${bytes.byteLength} bytes, not ${CONTROL_FILE_BYTES}`);
  }
  const controlVersion = bytes.readUInt32LE(8);
  const catalogVersion = bytes.readUInt32LE(12);
  refuseByteOrder(bytes, name);
  const crcOffset = CRC_OFFSET[controlVersion];
  if (crcOffset === undefined) throw unknownVersion(name, controlVersion, catalogVersion);
  const crc = crc32c(bytes.subarray(0, crcOffset));
  if (crc !== bytes.readUInt32LE(crcOffset)) {
    throw damaged(name, `its CRC is ${hex(bytes.readUInt32LE(crcOffset))}, its bytes give ${hex(crc)}`);
  }
  const release = RELEASES[catalogVersion];
  if (release === undefined || release.controlVersion !== controlVersion) {
    throw unknownVersion(name, controlVersion, catalogVersion);
  }
  const control = readFields(bytes, name, release.major);
  if (control.blockBytes !== BLOCK_BYTES) throw wrongBlockSize(name, control.blockBytes);
  if (control.build.floatFormat !== FLOAT_FORMAT || control.build.maxAlign !== 8) {
    throw damaged(name, "its numbers are laid out as on no machine that Lifeboat knows");
  }
  return control;
}

/**
 * What a standby must have as much of as its primary had, by its field here, in the order in which it is written down. Source: PostgreSQL
 * manual, "Hot Standby".
 */
export const CAPACITY_SETTINGS = {
  maxConnections: "max_connections",
  maxWorkerProcesses: "max_worker_processes",
  maxWalSenders: "max_wal_senders",
  maxPreparedTransactions: "max_prepared_transactions",
  maxLocksPerTransaction: "max_locks_per_transaction",
} as const satisfies Record<keyof ControlFile["capacity"], string>;

/** These settings with what a control file says. */
export function capacitySettings(capacity: ControlFile["capacity"]): Readonly<Record<string, number>> {
  const fields = Object.keys(CAPACITY_SETTINGS) as (keyof typeof CAPACITY_SETTINGS)[];
  return Object.fromEntries(fields.map((field) => [CAPACITY_SETTINGS[field], capacity[field]]));
}

/** As much of a control file as has fields, CRC included. */
export const CONTROL_FIELDS_BYTES = 512;

/**
 * What the primary had whose WAL was replayed last, from the first CONTROL_FIELDS_BYTES of a standby's control file. Undefined where
 * they are not to be read: half written at that moment, or of a version that is not known.
 */
export function capacityIn(fields: Buffer): ControlFile["capacity"] | undefined {
  if (fields.byteLength < CONTROL_FIELDS_BYTES) return undefined;
  try {
    return parseControlFile(Buffer.concat([fields], CONTROL_FILE_BYTES)).capacity;
  } catch (error) {
    if (isLifeboatError(error)) return undefined;
    throw error;
  }
}

function readFields(bytes: Buffer, name: string, major: Major): ControlFile {
  const minTimeline = bytes.readUInt32LE(144);
  return {
    major,
    controlVersion: bytes.readUInt32LE(8),
    catalogVersion: bytes.readUInt32LE(12),
    systemId: bytes.readBigUInt64LE(0).toString() as SystemId,
    state: oneOf(STATES, bytes.readUInt32LE(16), name, "state"),
    writtenAt: secondsAt(bytes, 24),
    checkpoint: readCheckpoint(bytes),
    unloggedLsn: lsnAt(bytes, 128),
    minRecovery: {
      lsn: lsnAt(bytes, 136),
      timeline: minTimeline === 0 ? undefined : (minTimeline as Timeline),
    },
    backupStartLsn: lsnAt(bytes, 152),
    backupEndLsn: lsnAt(bytes, 160),
    backupEndRequired: bytes[168] !== 0,
    walLevel: oneOf(WAL_LEVELS, bytes.readUInt32LE(172), name, "wal_level"),
    walLogHints: bytes[176] !== 0,
    capacity: {
      maxConnections: bytes.readInt32LE(180),
      maxWorkerProcesses: bytes.readInt32LE(184),
      maxWalSenders: bytes.readInt32LE(188),
      maxPreparedTransactions: bytes.readInt32LE(192),
      maxLocksPerTransaction: bytes.readInt32LE(196),
    },
    trackCommitTimestamp: bytes[200] !== 0,
    dataChecksumVersion: bytes.readUInt32LE(252),
    walSegmentBytes: bytes.readUInt32LE(228),
    walBlockBytes: bytes.readUInt32LE(224),
    blockBytes: bytes.readUInt32LE(216),
    segmentBlocks: bytes.readUInt32LE(220),
    build: {
      maxAlign: bytes.readUInt32LE(204),
      floatFormat: bytes.readDoubleLE(208),
      nameBytes: bytes.readUInt32LE(232),
      indexKeysMax: bytes.readUInt32LE(236),
      toastChunkBytes: bytes.readUInt32LE(240),
      largeObjectChunkBytes: bytes.readUInt32LE(244),
      float8ByValue: bytes[248] !== 0,
      defaultCharSigned: major >= 18 ? bytes[256] !== 0 : undefined,
    },
  };
}

/** The copy of the checkpoint record, 88 bytes from offset 40. */
function readCheckpoint(bytes: Buffer): Checkpoint {
  return {
    lsn: lsnAt(bytes, 32),
    redoLsn: lsnAt(bytes, 40),
    timeline: bytes.readUInt32LE(48) as Timeline,
    previousTimeline: bytes.readUInt32LE(52) as Timeline,
    fullPageWrites: bytes[56] !== 0,
    nextXid: bytes.readBigUInt64LE(64),
    nextOid: bytes.readUInt32LE(72),
    nextMultixact: bytes.readUInt32LE(76),
    nextMultixactOffset: bytes.readUInt32LE(80),
    oldestXid: bytes.readUInt32LE(84),
    oldestXidDatabaseOid: bytes.readUInt32LE(88),
    oldestMultixact: bytes.readUInt32LE(92),
    oldestMultixactDatabaseOid: bytes.readUInt32LE(96),
    startedAt: secondsAt(bytes, 104),
    oldestCommitTimestampXid: bytes.readUInt32LE(112),
    newestCommitTimestampXid: bytes.readUInt32LE(116),
    oldestActiveXid: bytes.readUInt32LE(120),
  };
}

function lsnAt(bytes: Buffer, offset: number): Lsn {
  return bytes.readBigUInt64LE(offset) as Lsn;
}

function secondsAt(bytes: Buffer, offset: number): Instant {
  return (Number(bytes.readBigInt64LE(offset)) * 1000) as Instant;
}

function oneOf<T>(values: readonly T[], index: number, name: string, field: string): T {
  const value = values[index];
  if (value === undefined) throw damaged(name, `its ${field} is ${index}`);
  return value;
}

/** On a machine of the other byte order the version would read as a multiple of 65536. */
function refuseByteOrder(bytes: Buffer, name: string): void {
  if (CRC_OFFSET[bytes.readUInt32BE(8)] === undefined) return;
  throw new LifeboatError("postgres.byte-order-unsupported", {
    message: `${name} was written on a big-endian machine`,
    remedy: "Lifeboat reads clusters of little-endian machines only (x86-64, ARM64): use this cluster's own tools.",
  });
}

function wrongBlockSize(name: string, blockBytes: number): LifeboatError {
  return new LifeboatError("postgres.block-size-unsupported", {
    message: `${name} says that pages have ${blockBytes} bytes, Lifeboat takes ${BLOCK_BYTES}`,
    remedy: "Move the data to a cluster of standard PostgreSQL, compiled with a block size of 8 KiB.",
    details: { blockBytes },
  });
}

function unknownVersion(name: string, controlVersion: number, catalogVersion: number): LifeboatError {
  return new LifeboatError("postgres.version-unsupported", {
    message: `${name} has control version ${controlVersion} and catalog version ${catalogVersion}, which belong to no PostgreSQL that Lifeboat knows (15 to 18)`,
    remedy: "Use a release of PostgreSQL 15 to 18 (no beta, no fork), or a newer Lifeboat.",
    details: { controlVersion, catalogVersion },
  });
}

function damaged(name: string, why: string): LifeboatError {
  return new LifeboatError("postgres.control-file-damaged", {
    message: `${name} is damaged: ${why}`,
    remedy: "If a server runs on this folder, try again. Otherwise restore from a backup.",
    retryable: true,
  });
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
