/**
 * The WAL receiver: takes a server's WAL as it is written, keeps it safe, confirms it, stores it in the vault.
 *
 * Nouns: the *spool* is the folder where WAL is synced before it is confirmed; a *session* is one connection to the
 * server; a *plan* says where a session starts and what it compares first; an *upload* brings a complete segment from
 * the spool into the vault; a *tail* is the segment that is not complete yet; a *gap* is WAL that the server no longer
 * had; the *report* is what the receiver says of itself;
 * its *mandate* is what permits it to confirm (see mandate.ts).
 * Invariants: WAL is confirmed only when it is on stable storage here, contiguous, from a system, timeline and history
 * that the vault has registered; a vault that fails delays uploads and never a confirmation, up to the spool's limit; a
 * failed sync, a full disk or a full spool drop the connection, and the server's slot keeps the WAL meanwhile; without a
 * mandate it is connected to nobody; there is one receiver to a spool. A receiver killed at any moment goes on where it was: what it confirmed is there.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import {
  abortedError,
  type Clock,
  formatInstant,
  type Instant,
  throwIfAborted,
  untilAborted,
} from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { RandomSource } from "../platform/random.ts";
import { type Attempt, retry } from "../platform/retry.ts";
import { formatLsn, LSN_NONE, lsnDistance, type SystemId } from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { listBackups } from "../vault/backups.ts";
import type { KeptKeys } from "../vault/kept-keys.ts";
import type { Vault } from "../vault/vault.ts";
import { getSegment, type NamedSegment } from "../vault/wal-store.ts";
import { alarmsOf, reportedError } from "./alarms.ts";
import { settleSpool } from "./held-end.ts";
import { type Mandate, NO_MANDATE, nameInReign } from "./mandate.ts";
import { Mandates } from "./mandates.ts";
import { checkSpoolSpace } from "./reception.ts";
import { REPORT_HEAD, type ReceiverMode, type ReceiverReport, type ReportedError, writeReport } from "./report.ts";
import { runSession } from "./session.ts";
import type { SessionContext, SessionOptions } from "./session-context.ts";
import { openSpool, type Spool } from "./spool.ts";
import type { ReceivedGap } from "./spool-state.ts";
import { standingGaps } from "./standing-gaps.ts";
import { UnreadableStretches } from "./unreadable.ts";
import { Uploads } from "./uploads.ts";
import { readWalked, Walker } from "./walked.ts";

/** What a receiver needs. */
export type ReceiverTools = {
  readonly vault: Vault;
  /** Where it may run for longer than the vault's newest data key stays that. See KeptKeys. */
  readonly renewKeys?: KeptKeys["renew"] | undefined;
  readonly files: Files;
  readonly locks: Locks;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Opens a session with the server of a mandate, see `addressUnder`. */
  readonly connect: (options: {
    readonly signal: AbortSignal;
    readonly mandate: Mandate;
  }) => Promise<ReplicationConnection>;
  /** Called when the spool is ours, before anything is received; closed before it is given up. */
  readonly govern?: ((receiver: OpenReceiver) => Promise<{ close(): Promise<void> }>) | undefined;
};

/** A receiver that has its spool, for whoever decides about its mandate. */
export type OpenReceiver = {
  readonly mandates: Mandates;
  readonly spool: Spool;
  readonly vault: Vault;
  /** Runs `work` while no session uses the spool. It waits for the session of a mandate that has not ended. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  readonly report: () => ReceiverReport;
  /** Milliseconds since the server was last heard of; undefined while there is no stream. */
  readonly heardAgoMs: () => number | undefined;
};

/** How a receiver behaves. */
export type ReceiverOptions = {
  /** Absolute path. Made when it is not there. */
  readonly spoolFolder: string;
  /** Physical replication slot; made when it is not there. */
  readonly slot: string;
  /** Name of the connection in epoch 0, for the report. Default that of the slot. */
  readonly applicationName?: string | undefined;
  /**
   * `lasting`: the slot keeps WAL on the server while no receiver runs. `session`: it ends with the connection, for a
   * receiver that runs as long as one backup. Default lasting.
   */
  readonly slotLifetime?: "lasting" | "session" | undefined;
  /** This process, for the report. */
  readonly pid: number;
  /** Longest time between two status messages to the server. Default 1 s: PostgreSQL's own standbys take 10 s. */
  readonly statusIntervalMs?: number | undefined;
  /** A server that says nothing for so long, asked for a sign in between, is given up. Default 30 s. */
  readonly serverTimeoutMs?: number | undefined;
  /** Segments waiting for the vault, in bytes, beyond which nothing is confirmed. Default 16 GiB: a thousand segments. */
  readonly spoolBytesMax?: number | undefined;
  /** The server advances and the confirmed position does not for so long: an alarm. Default 10 s. */
  readonly stallAfterMs?: number | undefined;
  /** True once, when the vault holds other systems and this server is meant to join them (after pg_upgrade). */
  readonly newSystem?: boolean | undefined;
  /** Waits so long with every group before it is written; what waits when the receiver stops is dropped. For demonstrations. */
  readonly delayMs?: number | undefined;
  /** Told of each change of mode. */
  readonly onMode?: ((mode: ReceiverMode) => void) | undefined;
};

/** A running service. */
export interface Receiver {
  /**
   * Takes the spool over and connects; resolves when WAL is streaming, however long the server takes to be there.
   * Rejects with what no repetition mends, or `platform.aborted`; the receiver has then stopped.
   */
  start(options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Ends the session and gives the spool up. Legal before start, repeatable, resolves when done. */
  stop(): Promise<void>;
  /** Resolves when the receiver was stopped; rejects when it met what no repetition mends. */
  readonly ended: Promise<void>;
  report(): ReceiverReport;
}

const STATUS_INTERVAL_MS = 1_000;
const SERVER_TIMEOUT_MS = 30_000;
const SPOOL_BYTES_MAX = 16 * 1024 ** 3;
const WALK_BACK_MS = 3_000;
const STALL_AFTER_MS = 10_000;
const REPORT_INTERVAL_MS = 1_000;
/** A server that comes back is met within 2 s, which a commit that waits for us notices; 0.1 s rides over a restart. */
const SESSION_RETRY = { attemptsMax: Number.POSITIVE_INFINITY, delayMinMs: 100, delayMaxMs: 2_000 };

/** Makes a receiver; nothing happens before `start`. */
export function createReceiver(tools: ReceiverTools, options: ReceiverOptions): Receiver {
  return new WalReceiver(tools, options);
}

class WalReceiver implements Receiver {
  readonly ended: Promise<void>;
  readonly #tools: ReceiverTools;
  readonly #options: ReceiverOptions;
  readonly #settled: SessionOptions & { readonly stallAfterMs: number };
  readonly #stopping = new AbortController();
  readonly #end = Promise.withResolvers<void>();
  readonly #streaming = Promise.withResolvers<void>();
  readonly #startedAt: Instant;
  /** Resolved when a report is wanted sooner than the next one would come. */
  #nextReport = Promise.withResolvers<void>();
  #mode: ReceiverMode = "starting";
  #streamed = false;
  #modeAt: Instant;
  #running: Promise<void> | undefined;
  #context: SessionContext | undefined;
  #mandates: Mandates | undefined;
  /** Settles when nothing uses the spool. */
  #turn: Promise<unknown> = Promise.resolve();
  #lastError: ReportedError | undefined;
  #lostGaps: readonly ReceivedGap[] = [];
  readonly #unreadable: UnreadableStretches;

  constructor(tools: ReceiverTools, options: ReceiverOptions) {
    this.#tools = tools;
    this.#options = options;
    this.#settled = {
      slot: options.slot,
      statusIntervalMs: options.statusIntervalMs ?? STATUS_INTERVAL_MS,
      serverTimeoutMs: options.serverTimeoutMs ?? SERVER_TIMEOUT_MS,
      spoolBytesMax: options.spoolBytesMax ?? SPOOL_BYTES_MAX,
      stallAfterMs: options.stallAfterMs ?? STALL_AFTER_MS,
      slotLifetime: options.slotLifetime ?? "lasting",
      newSystem: options.newSystem ?? false,
      delayMs: options.delayMs ?? 0,
    };
    const { files, random, clock, vault } = tools;
    this.#unreadable = new UnreadableStretches({
      ...{ files, random, clock, spoolFolder: options.spoolFolder },
      state: () => this.#context?.spool.state,
      backups: async (systemId, call) => (await listBackups(vault, { systemId }, call)).backups,
    });
    this.#startedAt = tools.clock.now();
    this.#modeAt = this.#startedAt;
    this.ended = this.#end.promise;
    // Whoever waits for them sees a failure; that nobody waits must not end the process.
    this.ended.catch(() => {});
    this.#streaming.promise.catch(() => {});
  }

  async start({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    this.#running ??= this.#live();
    const abort = (): void => this.#stopping.abort(signal?.reason);
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort);
    try {
      await this.#streaming.promise;
    } catch (error) {
      await this.#running;
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#running ??= this.#neverStarted();
    await this.#running;
  }

  async #neverStarted(): Promise<void> {
    this.#setMode("stopped");
    this.#streaming.reject(abortedError("starting the receiver"));
    this.#end.resolve();
  }

  report(): ReceiverReport {
    const context = this.#context;
    const { spool, uploads } = context ?? {};
    const flushed = spool?.flushed ?? LSN_NONE;
    const serverEnd = context?.serverEnd ?? LSN_NONE;
    const known = flushed !== LSN_NONE && serverEnd !== LSN_NONE;
    return {
      ...REPORT_HEAD,
      pid: this.#options.pid,
      mode: this.#mode,
      startedAt: formatInstant(this.#startedAt),
      updatedAt: formatInstant(this.#tools.clock.now()),
      systemId: spool?.state?.systemId ?? null,
      timeline: spool?.state?.timeline ?? null,
      slot: this.#options.slot,
      epoch: this.#mandates?.record.epoch ?? 0,
      applicationName: nameInReign(this.#options.applicationName ?? this.#options.slot, this.#reign),
      writtenLsn: formatLsn(spool?.written ?? LSN_NONE),
      flushedLsn: formatLsn(flushed),
      serverEndLsn: formatLsn(serverEnd),
      lagBytes: known ? Math.max(0, lsnDistance({ from: flushed, to: serverEnd })) : null,
      segmentsWaiting: uploads?.count ?? 0,
      spoolBytes: (uploads?.bytes ?? 0) + (spool?.currentBytes ?? 0),
      spoolBytesMax: this.#settled.spoolBytesMax,
      lastError: this.#lastError ?? null,
      alarms: this.#alarms(),
      gaps: (spool?.state?.gaps ?? []).map((gap) => ({
        ...gap,
        from: formatLsn(gap.from),
        to: formatLsn(gap.to),
      })),
    };
  }

  /** Of whom it follows, or followed last. */
  get #reign(): number {
    return this.#mandates?.current?.reign ?? this.#context?.mandate.reign ?? 0;
  }

  #alarms(): ReceiverReport["alarms"] {
    const context = this.#context;
    const { clock } = this.#tools;
    const behind = context !== undefined && context.serverEnd > context.told;
    return alarmsOf({
      now: clock.now(),
      mode: this.#mode,
      modeAt: this.#modeAt,
      lastError: this.#lastError,
      stalledMs: behind ? clock.monotonic() - context.confirmedAt : 0,
      hindrance: this.#mandates?.hindrance(context?.spool.state?.rangeFrom),
      stallAfterMs: this.#settled.stallAfterMs,
      uploadFailure: context?.uploads.failure,
      uploadingSince: context?.uploads.headSince,
      lostGaps: this.#lostGaps,
      unreadable: this.#unreadable.standing,
    });
  }

  /** The whole life, from taking the spool over to giving it up. Never rejects: `ended` and `start` tell. */
  async #live(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      const spool = await openSpool(this.#tools, this.#options.spoolFolder, { signal });
      // Until then the report is that of whoever had the spool before, and perhaps was killed while it streamed.
      await this.#writeReport();
      try {
        await this.#serve(spool, signal);
      } finally {
        await spool.close();
      }
    } catch (error) {
      if (!signal.aborted) this.#lastError = reportedError(error, this.#tools.clock.now());
      this.#setMode(signal.aborted ? "stopped" : "failed");
      this.#streaming.reject(error);
      if (signal.aborted) this.#end.resolve();
      else this.#end.reject(error);
    }
  }

  /** Sessions, uploads and reports side by side, until one of them ends; always rejects. */
  async #serve(spool: Spool, signal: AbortSignal): Promise<never> {
    const parts = new AbortController();
    const both = AbortSignal.any([signal, parts.signal]);
    const mandates = await Mandates.open(this.#tools, this.#options.spoolFolder);
    this.#mandates = mandates;
    const context = this.#newContext(spool);
    this.#context = context;
    // So that it can be told what is held while nobody can be connected to. A session meets what stands in the way again.
    await Promise.allSettled([settleSpool(spool)]);
    const governor = await this.#tools.govern?.({
      mandates,
      spool,
      vault: this.#tools.vault,
      exclusively: (work) => this.#exclusively(work),
      report: () => this.report(),
      heardAgoMs: () => {
        const { heardAt } = context;
        return heardAt === undefined ? undefined : this.#tools.clock.monotonic() - heardAt;
      },
    });
    // Not waited for: they never reject, and a vault that does not answer must not keep this from its end.
    void this.#recallGaps(spool, both);
    void this.#unreadable.run(both);
    const jobs = [this.#receive(context, mandates, both), context.uploads.run(both), this.#reportRegularly(both)];
    try {
      return await Promise.race(jobs.slice(0, 2).map(neverResolving));
    } finally {
      parts.abort();
      await Promise.allSettled([...jobs, governor?.close()]);
      await this.#turn;
      this.#setMode(signal.aborted ? "stopped" : "failed");
      await this.#writeReport();
    }
  }

  /** An alarm of an earlier receiver goes on until a backup answers it. Where the vault cannot tell, each is one. */
  async #recallGaps({ state }: Spool, signal: AbortSignal): Promise<void> {
    if (state === undefined || state.gaps.length === 0) return;
    const { systemId } = state;
    const listed = await listBackups(this.#tools.vault, { systemId }, { signal }).catch(() => ({ backups: [] }));
    this.#lostGaps = [...standingGaps(state, listed.backups), ...this.#lostGaps];
  }

  /** Receives under one mandate after the other. */
  async #receive(context: SessionContext, mandates: Mandates, signal: AbortSignal): Promise<never> {
    for (;;) {
      if (mandates.current === undefined) this.#withoutMandate();
      const mandate = await mandates.next({ signal });
      try {
        await this.#receiveUnder(mandate, context, AbortSignal.any([signal, mandate.ended]));
      } catch (error) {
        if (signal.aborted) throw error;
        if (mandate.ended.aborted) continue;
        // Nobody governs it: whoever started it has to look. Else the next mandate may be for another server.
        if (mandate.reign === 0) throw error;
        this.#setMode("failed");
        await untilAborted(AbortSignal.any([signal, mandate.ended]));
      }
    }
  }

  #withoutMandate(): void {
    this.#setMode("withdrawn");
    if (this.#settled.slotLifetime === "lasting") return;
    throw new LifeboatError("wal.withdrawn", {
      message: `the mandate of the receiver in ${this.#options.spoolFolder} was withdrawn in epoch ${this.#mandates?.record.epoch ?? 0}, and there is no other`,
      remedy: "A failover is under way: let it end, then run the command again.",
      retryable: true,
    });
  }

  async #receiveUnder(mandate: Mandate, context: SessionContext, signal: AbortSignal): Promise<never> {
    const work = (attempt: Attempt): Promise<never> =>
      this.#exclusively(() => this.#session(mandate, context, { attempt, signal }));
    return await retry<never>(this.#tools, SESSION_RETRY, work, {
      signal,
      permanent: (error) => isHopeless(error, this.#streamed),
      failed: ({ error }) => {
        if (signal.aborted) return;
        this.#lastError = reportedError(error, this.#tools.clock.now());
        const space = isLifeboatError(error, "platform.disk-full") || isLifeboatError(error, "wal.spool-full");
        this.#setMode(space ? "waiting-for-space" : "backing-off");
      },
    });
  }

  async #session(
    mandate: Mandate,
    context: SessionContext,
    { attempt, signal }: { readonly attempt: Attempt; readonly signal: AbortSignal },
  ): Promise<never> {
    throwIfAborted(signal, "connecting");
    const { spool, uploads } = context;
    context.mandate = mandate;
    await spool.completeFull();
    for (const file of await spool.list()) if (file.kind === "complete") uploads.add(file);
    checkSpoolSpace(context);
    if (this.#mode !== "backing-off" && this.#mode !== "waiting-for-space") this.#setMode("connecting");
    const connection = await this.#tools.connect({ signal, mandate });
    context.streaming = () => {
      attempt.progressed();
      this.#streamed = true;
      this.#setMode("streaming");
      this.#nextReport.resolve();
      this.#streaming.resolve();
    };
    try {
      return await runSession(connection, context, { signal });
    } finally {
      // The connection first: nothing may be confirmed on it after the spool has failed.
      context.heardAt = undefined;
      await Promise.allSettled([connection.close()]);
      await context.spool.abandon();
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  async #reportRegularly(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#nextReport = Promise.withResolvers();
      await this.#writeReport();
      const interval = this.#tools.clock.sleep(REPORT_INTERVAL_MS, { signal });
      await Promise.race([Promise.allSettled([interval]), this.#nextReport.promise]);
    }
  }

  /** A report that cannot be written is no reason to stop confirming: the next one comes, and the disk has its own alarm. */
  async #writeReport(): Promise<void> {
    await Promise.allSettled([writeReport(this.#tools, this.#options.spoolFolder, this.report())]);
  }

  #newContext(spool: Spool): SessionContext {
    const { vault, renewKeys, clock, files, random } = this.#tools;
    const systemId = (): SystemId => {
      assert(spool.state !== undefined, "a spool with segments knows whose they are");
      return spool.state.systemId;
    };
    const remove = spool.remove.bind(spool);
    const { spoolFolder } = this.#options;
    const { signal } = this.#stopping;
    // Read to go on where an earlier receiver stopped: uploads wait for it, so it has little time.
    const segment = (named: NamedSegment): Promise<Buffer | undefined> =>
      Promise.race([getSegment(vault, named, { signal }), clock.sleep(WALK_BACK_MS, { signal }).then(() => undefined)]);
    const unreadable = this.#unreadable.note.bind(this.#unreadable);
    const walker = new Walker({ files, random, clock, spoolFolder, vaultId: vault.id, segment, unreadable });
    const stored = walker.stored.bind(walker);
    return {
      spool,
      uploads: new Uploads({ vault, renewKeys, clock, random, readFile: files.readFile, systemId, remove, stored }),
      vault,
      clock,
      options: this.#settled,
      mandate: NO_MANDATE,
      gone: undefined,
      serverEnd: LSN_NONE,
      heardAt: undefined,
      told: LSN_NONE,
      confirmedAt: clock.monotonic(),
      streaming: () => {},
      walked: () => readWalked(files, spoolFolder),
      lost: (gap) => {
        this.#lostGaps = [...this.#lostGaps, gap];
      },
      unreadable,
    };
  }

  #setMode(mode: ReceiverMode): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#modeAt = this.#tools.clock.now();
    this.#options.onMode?.(mode);
  }
}

/** A job that ends well has ended because it was told to: only its failure counts. */
async function neverResolving(job: Promise<unknown>): Promise<never> {
  await job;
  return await new Promise<never>(() => {});
}

/** What goes on being so until a person acts: an answer, not an outage. Anything that is not ours is a bug. */
function isHopeless(error: unknown, streamed: boolean): boolean {
  if (!isLifeboatError(error) || error.kind === "bug") return true;
  return HOPELESS.has(error.code) || (!streamed && HOPELESS_AT_START.has(error.code));
}

const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "wal.foreign-system",
  "wal.foreign-lineage",
  "wal.timeline-behind",
  "wal.segment-conflict",
  "wal.segment-damaged",
  "wal.history-damaged",
  "wal.spool-damaged",
]);

/** A mistake of the set-up when nothing ever worked; later, a password being changed, which passes. */
const HOPELESS_AT_START: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "postgres.login-refused",
  "postgres.not-permitted",
  "postgres.version-unsupported",
  "postgres.tls-failed",
]);
