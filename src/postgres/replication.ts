/**
 * PostgreSQL's streaming replication protocol, as the rest of Lifeboat sees it.
 *
 * Nouns: a *replication connection* is one walsender session; a *base backup* is the server's own copy of its files,
 * sent as tar archives; a *WAL stream* is the log from a position on, with the receiver's *status* going back.
 * Invariants: buffers handed out are never reused by the connection (a consumer may hold them for as long as it likes), but
 * for those of `BaseBackupSink.data`; an error the server raises after its last result is an error of the call; nothing is retried here.
 * Source: PostgreSQL manual, "Streaming Replication Protocol".
 */
import type { Lsn, SystemId, Timeline } from "./lsn.ts";

/** How to reach a server. `password` is used for SCRAM and md5; `tls` as in libpq's sslmode. */
export type ConnectOptions = {
  /** A host name, an address, or an absolute path: the folder of the server's Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  /** The database of an ordinary connection; a replication connection needs none. */
  readonly database?: string | undefined;
  readonly tls?:
    | { readonly mode: "disable" | "require" }
    | { readonly mode: "verify-full"; readonly caFile?: string | undefined }
    | undefined;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** Of a replication connection: the server ends it when it hears nothing for so long. Undefined: what is set there. */
  readonly senderTimeoutMs?: number | undefined;
};

/** Cancels what can wait. The connection is unusable after an abort: close it. */
export type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The answer of IDENTIFY_SYSTEM. */
export type SystemIdentity = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  /** Flushed position of the server (replayed, on a standby). */
  readonly flushedLsn: Lsn;
};

/** A tablespace of a base backup. */
export type BackupTablespace = { readonly oid: number; readonly location: string; readonly sizeBytes: number };

/** Options of BASE_BACKUP. The server's manifest is always asked for, and page checksums are always verified. */
export type BaseBackupOptions = {
  readonly label: string;
  readonly checkpoint: "fast" | "spread";
  /** Wait until the server's own archiving has taken the last segment. False where the vault receives WAL by itself. */
  readonly waitForArchive: boolean;
  readonly manifestChecksums: "none" | "crc32c" | "sha256";
  readonly maxRateKiB?: number | undefined;
};

/** What a base backup delivers, in this order. A returned promise holds the stream back until it settles. */
export interface BaseBackupSink {
  /** First: where WAL replay starts, and what there is. `totalBytes` is the server's estimate. */
  begin(facts: {
    readonly startLsn: Lsn;
    readonly timeline: Timeline;
    readonly tablespaces: readonly BackupTablespace[];
    readonly totalBytes: number;
  }): void | Promise<void>;
  /** A tar archive begins: `base.tar` has tablespaceOid undefined, `16385.tar` has 16385. */
  archive(facts: { readonly name: string; readonly tablespaceOid: number | undefined }): void | Promise<void>;
  /** Bytes of the current archive. The view holds until this returns or its promise settles; do not write into it. */
  data(view: Buffer): void | Promise<void>;
  /** The server's backup manifest, whole, after the last archive. */
  manifest(json: Buffer): void | Promise<void>;
}

/** How a base backup ended. */
export type BaseBackupEnd = {
  readonly endLsn: Lsn;
  readonly timeline: Timeline;
  /**
   * What the server left out, in its own words: links and special files in its folders are no part of a base backup, and it
   * does not call that an error.
   */
  readonly skipped: readonly string[];
};

/** A message of a WAL stream. */
export type WalMessage =
  | {
      readonly kind: "data";
      readonly start: Lsn;
      /** The server's own end of WAL when it sent this. */
      readonly serverEnd: Lsn;
      readonly data: Buffer;
    }
  | { readonly kind: "keepalive"; readonly serverEnd: Lsn; readonly replyRequested: boolean }
  /** The timeline ended; the stream is over and the connection can start another. */
  | {
      readonly kind: "timeline-end";
      readonly next: { readonly timeline: Timeline; readonly switchLsn: Lsn } | undefined;
    };

/** What the receiver reports. Only `flushed` lets a slot release WAL and a synchronous commit return. */
export type StandbyStatus = {
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly applied: Lsn;
  readonly replyRequested?: boolean;
};

/** A running WAL stream. */
export interface WalStream {
  /**
   * All messages that have arrived, at least one; waits for the first. Undefined when `timeoutMs` passes without one.
   * One call, one group: write all, sync once, report once.
   */
  next(options: CallOptions & { readonly timeoutMs: number }): Promise<readonly WalMessage[] | undefined>;
  /** Sends a standby status update; returns once it is handed to the socket. A lost connection is told by the next `next`. */
  sendStatus(status: StandbyStatus): Promise<void>;
  /** The message of a status, made before there is anything to say: what follows a sync is waited for. */
  statusMessage(status: StandbyStatus): Buffer;
  /** Sends the message of a status; false when that would have to wait, and nothing was sent. */
  sendNow(message: Buffer): boolean;
  /** Ends COPY; the connection is usable again. WAL still under way is dropped. */
  stop(options: CallOptions): Promise<void>;
}

/** One walsender session. Not for concurrent calls. */
export interface ReplicationConnection {
  /** server_version_num, for example 160014. */
  readonly serverVersion: number;
  /** The walsender's process id on the server. */
  readonly backendPid: number;
  identifySystem(options: CallOptions): Promise<SystemIdentity>;
  /** Runs SHOW. */
  show(parameter: string, options: CallOptions): Promise<string>;
  /** The history file of a timeline other than 1. */
  timelineHistory(
    timeline: Timeline,
    options: CallOptions,
  ): Promise<{ readonly name: string; readonly content: Buffer }>;
  /** Makes a physical slot; `reserveWal` keeps WAL from now on. Temporary slots end with the session. An existing one is left and reported as "existed". */
  createSlot(
    slot: { readonly name: string; readonly reserveWal: boolean; readonly temporary: boolean },
    options: CallOptions,
  ): Promise<"created" | "existed">;
  /** READ_REPLICATION_SLOT; undefined when there is none. `restartLsn` is undefined when the slot reserves nothing. */
  readSlot(
    name: string,
    options: CallOptions,
  ): Promise<{ readonly restartLsn: Lsn | undefined; readonly timeline: Timeline | undefined } | undefined>;
  dropSlot(name: string, options: CallOptions): Promise<void>;
  baseBackup(request: BaseBackupOptions, sink: BaseBackupSink, options: CallOptions): Promise<BaseBackupEnd>;
  startWal(
    from: { readonly lsn: Lsn; readonly timeline: Timeline; readonly slot?: string | undefined },
    options: CallOptions,
  ): Promise<WalStream>;
  /** Ends the session; legal at any time, repeatable. */
  close(): Promise<void>;
}
