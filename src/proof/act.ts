/**
 * Proves a backup: shows, by doing it, how far it could be recovered from, and records what came of it.
 *
 * Nouns: a proof goes through the *depths* one after another up to the one that was asked for; a *finding* ends it at the
 * depth that found it; the *sandbox* is an isolated server on this machine that is thrown away.
 * Invariants: only the vault is relied on, not the receiver's spool; what says nothing about the backup (no space, no
 * memory, no programs, a setting of another machine, a tablespace that the sandbox must not make, a stop on request) ends the proof without a record; a depth that cannot be looked at is refused, never
 * lowered; the record is the last thing written, so a proof that was cut short leaves none; nothing of the sandbox stays.
 */
import path from "node:path";
import { assert, isLifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { Locks } from "../platform/lock.ts";
import type { ProcessUser } from "../platform/processes.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import type { Installation } from "../postgres/installation.ts";
import { formatLsn, parseLsn } from "../postgres/lsn.ts";
import { HeldWal } from "../restore/held-wal.ts";
import { replayBytes } from "../restore/plan.ts";
import { type PricedPlan, prepareRestore, type RestoreTools, runRestore } from "../restore/restore.ts";
import type { RecoveryTarget } from "../restore/target.ts";
import { isReplayed, tablespaceInWal } from "../restore/wal-tablespaces.ts";
import { type BackupRecord, createBackupId } from "../vault/backups.ts";
import type { ProofId } from "../vault/names.ts";
import { type ProofDepth, type ProofFinding, type ProofPhase, type ProofRecord, putProof } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import type { CreatedTablespace } from "../wal/records/tablespaces.ts";
import { openDatabases, tryDatabases } from "./databases.ts";
import { isAtLeast } from "./decide.ts";
import { checkInvariants, type Invariant } from "./invariants.ts";
import { findingOf, type Look, lookIntact, lookPresent } from "./look.ts";
import { type BadPage, scanPages } from "./page-scan.ts";
import { checkRelations, type NotCompared, relationOf, requireExtensions } from "./relation-checks.ts";
import { listStored, RelationFiles } from "./relation-files.ts";
import { type Sandbox, type SandboxPorts, withSandbox } from "./sandbox.ts";
import { SandboxServer } from "./sandbox-server.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Findings that a record keeps; more of them say nothing new. */
const FINDINGS_KEPT_MAX = 50;

/** How far a proof is. */
export type ProofProgress = {
  readonly step: "reading" | "files" | "wal" | "sync" | "replaying" | "pages" | "relations" | "invariants";
  readonly done?: number;
  readonly total?: number;
};

export type ProofTools = SandboxPorts & {
  readonly vault: Vault;
  readonly locks: Locks;
  readonly onProgress: (progress: ProofProgress) => void;
  /** Told of a proof that cannot be recorded, before that is thrown. */
  readonly onUnrecorded?: ((record: ProofRecord) => void) | undefined;
};

/** What is to be shown, and with what. */
export type ProofRequest = {
  readonly backup: BackupRecord;
  readonly depth: ProofDepth;
  /** Where sandboxes lie. */
  readonly sandboxFolder: string;
  /** Undefined for depths that start no server. */
  readonly installation: Installation | undefined;
  readonly user: ProcessUser | undefined;
  /** A role that may exist in the cluster; see `SandboxServer`. */
  readonly role: string;
  readonly bootTimeoutMs: number;
  /** WAL beyond it is fed to the sandbox while it recovers instead of being laid before. */
  readonly walLaidBytesMax: number;
  readonly invariants: readonly Invariant[];
  /** This machine's name. */
  readonly host: string;
};

/** A hole in the WAL of a backup: what lies beyond it is held, and cannot be come to. */
export type ProofGap = { readonly afterLsn: string; readonly firstSegment: string; readonly segmentCount: number };

/** What came of a proof. */
export type Proof = {
  readonly record: ProofRecord;
  /** Where the WAL stopped short of the newest that is held; points after it were not shown. */
  readonly gap: ProofGap | undefined;
  /** Before which the sandbox's recovery stopped: it would have gone on in this machine's folder of that name. */
  readonly stoppedBefore: CreatedTablespace | undefined;
  readonly notCompared: readonly NotCompared[];
};

/** Proves, records and returns the record, whether it passed or failed. Rejects when nothing can be said of the backup. */
export async function proveBackup(tools: ProofTools, request: ProofRequest, options: CallOptions): Promise<Proof> {
  const run = new ProofRun(tools, request, options);
  const record = await run.toTheEnd();
  try {
    await putProof(tools.vault, record, options);
  } catch (error) {
    // A vault that takes no record may be just the one that one asks about. Of a backup that is gone there is nothing to say.
    if (!isLifeboatError(error, "vault.backup-unknown")) tools.onUnrecorded?.(record);
    throw error;
  }
  return { record, gap: run.gap, stoppedBefore: run.stoppedBefore, notCompared: run.notCompared };
}

class ProofRun {
  /** Known once the plan is made. */
  gap: ProofGap | undefined;
  /** Known once the WAL was read. */
  stoppedBefore: CreatedTablespace | undefined;
  notCompared: readonly NotCompared[] = [];
  readonly #tools: ProofTools;
  readonly #request: ProofRequest;
  readonly #options: CallOptions;
  readonly #restoreTools: RestoreTools;
  readonly #startedAt: Instant;
  readonly #findings: ProofFinding[] = [];
  readonly #phases: { readonly phase: ProofPhase; readonly durationMs: number }[] = [];
  #depth: ProofDepth = "present";
  #reached: ProofDepth | null = null;
  #readBytes = 0;
  #restoredBytes = 0;
  #walBytes = 0;
  #point: { readonly lsn: string; readonly timeline: number } | undefined;
  #checked: ProofRecord["checked"] = null;

  constructor(tools: ProofTools, request: ProofRequest, options: CallOptions) {
    const { vault, files, clock, locks } = tools;
    const { systemId, walSegmentBytes } = request.backup;
    this.#tools = tools;
    this.#request = request;
    this.#options = options;
    this.#startedAt = clock.now();
    // Without a spool: a backup must outlive this machine.
    const wal = new HeldWal({ vault, files, systemId }, walSegmentBytes);
    this.#restoreTools = {
      vault,
      files,
      clock,
      locks,
      wal,
      onProgress: ({ phase, doneBytes, totalBytes }) => this.#progress(phase, doneBytes, totalBytes),
    };
  }

  /** Goes through the depths until one fails or the wanted one is shown. */
  async toTheEnd(): Promise<ProofRecord> {
    const begun = this.#tools.clock.monotonic();
    const { backup, depth } = this.#request;
    try {
      const plan = await this.#present();
      if (this.#goesOn("intact")) await this.#intact(plan);
      if (this.#goesOn("booted")) await this.#inSandbox(await this.#keptApart(plan));
    } catch (error) {
      const finding = await findingOf(this.#tools.vault, error, `backup ${backup.backupId}`, this.#options);
      if (finding === undefined) throw error;
      this.#findings.push(finding);
    }
    const failed = this.#findings.length > 0;
    const { clock } = this.#tools;
    return {
      format: "lifeboat-proof",
      version: 1,
      proofId: createBackupId(this.#startedAt, this.#tools.random) as string as ProofId,
      backupId: backup.backupId,
      systemId: backup.systemId,
      asked: depth,
      reached: this.#reached,
      failedAt: failed ? this.#depth : null,
      findings: this.#findings.slice(0, FINDINGS_KEPT_MAX),
      findingCount: this.#findings.length,
      startedAt: formatInstant(this.#startedAt),
      endedAt: formatInstant(clock.now()),
      durationMs: Math.round(clock.monotonic() - begun),
      phases: this.#phases,
      readBytes: this.#readBytes,
      restoredBytes: this.#restoredBytes,
      walBytes: this.#walBytes,
      pointLsn: this.#point?.lsn ?? null,
      pointTimeline: this.#point?.timeline ?? null,
      serverVersion: this.#point === undefined ? null : (this.#request.installation?.version ?? null),
      host: this.#request.host,
      checked: this.#checked,
    };
  }

  #planTo(target: RecoveryTarget): Promise<PricedPlan> {
    const { backup, walLaidBytesMax } = this.#request;
    const { systemId, backupId } = backup;
    const wanted = { systemId, backupId, target, acceptGap: true, walLaidBytesMax, forProof: true };
    return prepareRestore(this.#restoreTools, wanted, this.#options);
  }

  async #present(): Promise<PricedPlan> {
    const { backup } = this.#request;
    const plan = await this.#timed("present", async () => {
      const planned = await this.#planTo({ kind: "latest" });
      const { gapAfter, endLsn } = planned;
      if (gapAfter !== undefined) {
        const { firstSegment, segmentCount } = gapAfter;
        this.gap = { afterLsn: formatLsn(endLsn), firstSegment, segmentCount };
      }
      this.#take(await lookPresent(this.#lookTools(), { backup, plan: planned }, this.#options));
      return planned;
    });
    this.#shown();
    return plan;
  }

  async #intact(plan: PricedPlan): Promise<void> {
    this.#depth = "intact";
    await this.#timed("intact", async () => {
      const look = await lookIntact(this.#lookTools(), { backup: this.#request.backup, plan }, this.#options);
      this.#take(look);
      this.stoppedBefore = look.tablespaces.find((created) => isReplayed(plan, created));
    });
    this.#shown();
  }

  /**
   * The plan, or one that stops before the WAL creates a tablespace: the server that is protected may use that folder. Throws
   * `restore.tablespace-in-wal` where the backup is not consistent before that.
   */
  async #keptApart(plan: PricedPlan): Promise<PricedPlan> {
    const created = this.stoppedBefore;
    if (created === undefined) return plan;
    if (created.lsn < parseLsn(plan.backup.endLsn))
      throw tablespaceInWal(created, "a sandbox uses no folder but its own");
    return this.#planTo({ kind: "lsn", lsn: created.lsn, inclusive: false });
  }

  async #inSandbox(plan: PricedPlan): Promise<void> {
    this.#depth = "booted";
    await withSandbox(this.#tools, this.#request.sandboxFolder, async (sandbox) => {
      await this.#timed("restore", async () => {
        const tablespaces = { byOid: new Map<number, string>(), under: sandbox.tablespaces };
        const place = { folder: sandbox.dataFolder, tablespaces, owner: this.#request.user, isolated: true };
        await runRestore(this.#restoreTools, plan, place, this.#options);
        this.#restoredBytes = plan.writeBytes + plan.walBytes;
      });
      const server = await this.#boot(plan, sandbox);
      try {
        await this.#takeFrom(server, await server.tryWrite(this.#options));
        if (this.#goesOn("booted")) await this.#takeFrom(server, await tryDatabases(server, this.#options));
        this.#shown();
        if (this.#goesOn("checked")) await this.#check(server, sandbox.dataFolder);
      } finally {
        await server.end();
      }
    });
  }

  async #boot(plan: PricedPlan, sandbox: Sandbox): Promise<SandboxServer> {
    const { installation } = this.#request;
    assert(installation !== undefined, "a depth that boots is asked for with programs");
    this.#progress("replaying");
    return this.#timed("recover", async () => {
      const tools = { ...this.#tools, wal: this.#restoreTools.wal };
      const server = await SandboxServer.boot(
        tools,
        { sandbox, plan },
        { ...this.#request, installation },
        this.#options,
      );
      const { lsn, timeline } = server.reached;
      this.#point = { lsn: formatLsn(lsn), timeline };
      this.#walBytes = replayBytes(plan);
      return server;
    });
  }

  async #check(server: SandboxServer, dataFolder: string): Promise<void> {
    this.#depth = "checked";
    await this.#timed("check", async () => {
      await requireExtensions(server, this.#options);
      const control = parseControlFile(await this.#tools.files.readFile(path.join(dataFolder, CONTROL_FILE_PATH)));
      const checksums = control.dataChecksumVersion > 0;
      const { segmentBlocks } = control;
      const databases = await openDatabases(server, this.#options);
      const stored = await listStored(server, databases, this.#options);
      await this.#takeFrom(server, stored.findings);
      // The files are read, not the server's memory: nothing is written from here until they were.
      await this.#takeFrom(server, await server.flush(this.#options));
      const watcher = new RelationFiles(stored.relations, segmentBlocks);
      const onProgress = (at: { readonly doneBytes: number; readonly totalBytes: number }): void =>
        this.#progress("pages", at.doneBytes, at.totalBytes);
      const scan = await scanPages(
        this.#tools.files,
        { dataFolder, checksums, segmentBlocks },
        { onProgress, watcher, ...this.#options },
      );
      for (const [index, page] of scan.bad.entries()) this.#findings.push(await this.#pageFinding(server, page, index));
      this.#findings.push(...watcher.findings());
      const relations = await checkRelations(
        server,
        stored.answered,
        ({ done, total }) => this.#progress("relations", done, total),
        this.#options,
      );
      await this.#takeFrom(server, relations.findings);
      this.notCompared = relations.notCompared;
      this.#progress("invariants");
      const { invariants } = this.#request;
      await this.#takeFrom(server, await checkInvariants(server, invariants, this.#options));
      const { heaps, indexes } = relations;
      this.#checked = {
        databases: databases.length,
        heaps,
        indexes,
        pages: scan.pageCount,
        invariants: invariants.length,
      };
    });
    this.#shown();
  }

  async #pageFinding(server: SandboxServer, page: BadPage, index: number): Promise<ProofFinding> {
    // Asking for names costs two sessions each.
    const name = index < FINDINGS_KEPT_MAX ? await relationOf(server, page, this.#options) : undefined;
    const object = `${page.path}, block ${page.block}`;
    const of = name === undefined ? "" : ` (${name})`;
    return {
      object: `${object}${of}`,
      code: "page",
      message: `block ${page.block} of ${page.path}${of}: ${VERDICTS[page.verdict]}`,
    };
  }

  #lookTools() {
    const onProgress = (at: { readonly doneBytes: number; readonly totalBytes: number }): void =>
      this.#progress("reading", at.doneBytes, at.totalBytes);
    return { vault: this.#tools.vault, wal: this.#restoreTools.wal, onProgress };
  }

  #progress(step: ProofProgress["step"], done?: number, total?: number): void {
    const counted = done === undefined || total === undefined || total === 0 ? {} : { done, total };
    this.#tools.onProgress({ step, ...counted });
  }

  #take(look: Look): void {
    this.#findings.push(...look.findings);
    this.#readBytes += look.readBytes;
  }

  /** Findings of a running server, unless it was this machine that ended it. */
  async #takeFrom(server: SandboxServer, findings: readonly ProofFinding[]): Promise<void> {
    if (findings.some(({ code }) => code === "server-ended")) await server.requireOwnEnd(this.#options);
    this.#findings.push(...findings);
  }

  /** The depth under way is shown unless something was found. */
  #shown(): void {
    if (this.#findings.length === 0) this.#reached = this.#depth;
  }

  #goesOn(next: ProofDepth): boolean {
    return this.#findings.length === 0 && isAtLeast(this.#request.depth, next);
  }

  async #timed<T>(phase: ProofPhase, work: () => Promise<T>): Promise<T> {
    const { clock } = this.#tools;
    const begun = clock.monotonic();
    try {
      return await work();
    } finally {
      this.#phases.push({ phase, durationMs: Math.round(clock.monotonic() - begun) });
    }
  }
}

const VERDICTS: Readonly<Record<BadPage["verdict"], string>> = {
  "bad-checksum": "its checksum does not fit its content",
  "bad-header": "its header cannot be right",
  "half-empty": "it says that it was never used, and is not all zero",
};
