/**
 * Repairs a vault: makes again what can be made again, sets aside what only misleads, and marks what cannot be restored.
 *
 * Invariants: no byte is destroyed: an object is deleted under its name only after a copy of it under `quarantine/` was read
 * back; it is read once more right before, so that a disk that erred once loses nothing. Cut anywhere, what is left is the
 * vault as it was with a copy more, or a step less to do. One step that fails hides no other.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { formatInstant, throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { type BackupRecord, createBackupId, isBackupRecord, listBackups } from "./backups.ts";
import { checkOneBackup, checkVault, type Finding, type VaultReport } from "./check.ts";
import { objectDamaged } from "./header.ts";
import { readManifest } from "./manifest.ts";
import { judgeMarkers } from "./marker.ts";
import {
  type BackupId,
  backupName,
  type ProofId,
  parseBackupName,
  parseProofName,
  parseWalKey,
  proofName,
  quarantineName,
} from "./names.ts";
import { isProofRecord, listProofs, type ProofListing, type ProofRecord, putProof } from "./proofs.ts";
import { halfRepaired } from "./quarantine.ts";
import { planRepair, type RepairFacts, type RepairPlan, type RepairStep } from "./repair-plan.ts";
import { isRestoreProgram, PRESENT_PROGRAM, PROGRAMS_PREFIX, presentProgram } from "./restore-program.ts";
import { getBlob, putBlob, type Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** WAL as the receiver's spool has it: the bytes of a complete segment or of a history; undefined when it has them not. */
export type SpooledWal = (
  wanted:
    | { readonly kind: "segment"; readonly systemId: SystemId; readonly segment: string }
    | { readonly kind: "history"; readonly systemId: SystemId; readonly timeline: Timeline },
) => Promise<Buffer | undefined>;

/** What a repair needs beside the vault. */
export type RepairTools = {
  readonly vault: Vault;
  readonly spooled: SpooledWal;
  /** WAL that is missing beside what backups need of it. */
  readonly missing?: readonly Finding[] | undefined;
  /** Where the restore program is read. */
  readonly files: Pick<Files, "readFile">;
  /** This machine's name. */
  readonly host: string;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
};

/** What became of one step. */
export type RepairOutcome = { readonly step: RepairStep; readonly failure: LifeboatError | undefined };

/** Findings that a mark keeps, as a proof does. */
const FINDINGS_KEPT_MAX = 50;

/** Reads the whole vault and plans its repair. Changes nothing. */
export async function prepareRepair(tools: RepairTools, options: CallOptions): Promise<RepairPlan> {
  const { vault, onProgress } = tools;
  const checked = await checkVault(vault, { readData: true, onProgress, ...options });
  const report = { ...checked, findings: [...checked.findings, ...(tools.missing ?? [])] };
  const remade = new Map<string, { readonly backup: BackupRecord; readonly findings: readonly Finding[] }>();
  const spooled = new Set<string>();
  const look = async (findings: readonly Finding[]): Promise<void> => {
    for (const { object } of findings) {
      const wal = parseWalKey(object);
      if (wal !== undefined && (await again(tools, wal, options)) !== undefined) spooled.add(object);
    }
  };
  await look([...report.findings, ...report.backups.flatMap(({ findings }) => findings)]);
  for (const object of await announcementsToRemake(vault, report, options)) {
    const named = parseBackupName(object);
    const backup = named && (await recordFromManifest(vault, named, options));
    if (backup !== undefined) remade.set(object, { backup, findings: await checkOneBackup(vault, backup, options) });
  }
  await look([...remade.values()].flatMap(({ findings }) => findings));
  const storable = new Set((await storableObjects(tools, options)).keys());
  return planRepair({ report, remade, spooled, storable, ...judgeProofs(await listProofs(vault, {}, options)) });
}

/** What is to lie in every vault and is known without it, or from elsewhere in it. */
async function storableObjects(
  { vault, files }: Pick<RepairTools, "vault" | "files">,
  options: CallOptions,
): Promise<ReadonlyMap<string, Buffer>> {
  const { again } = await judgeMarkers(vault, options);
  return new Map([...again, [PRESENT_PROGRAM, await presentProgram(files)]]);
}

/** Those that do not open, and those that a repair set aside before it was cut short. */
async function announcementsToRemake(
  vault: Vault,
  report: VaultReport,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const found = report.findings.map(({ object }) => object).filter((object) => object.endsWith("/announced"));
  const aside = await halfRepaired(vault, report.unfinished, options);
  return new Set([...found, ...aside.map(({ object }) => object)]);
}

/** Carries out a plan; returns what became of each step. Rejects only on a stop on request. */
export async function runRepair(
  tools: RepairTools,
  plan: RepairPlan,
  options: CallOptions,
): Promise<readonly RepairOutcome[]> {
  const { vault } = tools;
  const repairId = createBackupId(vault.clock.now(), vault.random);
  const outcomes: RepairOutcome[] = [];
  for (const step of plan.steps) {
    throwIfAborted(options.signal, "repairing the vault");
    try {
      await carryOut(tools, { step, repairId }, options);
      outcomes.push({ step, failure: undefined });
    } catch (failure) {
      if (!isLifeboatError(failure) || failure.kind === "bug" || failure.code === "platform.aborted") throw failure;
      outcomes.push({ step, failure });
    }
  }
  return outcomes;
}

async function carryOut(
  tools: RepairTools,
  { step, repairId }: { readonly step: RepairStep; readonly repairId: string },
  options: CallOptions,
): Promise<void> {
  const { vault } = tools;
  if (step.kind === "mark") return putProof(vault, markOf(tools, step), options);
  const { object } = step;
  if (step.kind === "store-again") return storeAgain(tools, { object, repairId }, options);
  if (step.kind === "set-aside") {
    await setAside(vault, { object, repairId, isSound: () => isSoundRecord(vault, object, options) }, options);
    return;
  }
  if (step.kind === "announce-again") {
    const isSound = (): Promise<boolean> => isSoundRecord(vault, object, options);
    if ((await setAside(vault, { object, repairId, isSound }, options)) === "sound") return;
    return putAgain(vault, { name: object, plain: Buffer.from(JSON.stringify(step.backup)) }, options);
  }
  const wal = parseWalKey(object);
  const plain = wal === undefined ? undefined : await again(tools, wal, options);
  // The receiver has stored and removed it meanwhile.
  if (plain === undefined) return;
  // That it opens is not enough: it may be the wrong content, and would be found again by every check.
  const isSound = (): Promise<boolean> => opensTo(vault, object, (found) => found.equals(plain), options);
  if ((await setAside(vault, { object, repairId, isSound }, options)) === "sound") return;
  await putAgain(vault, { name: object, plain }, options);
}

async function storeAgain(
  tools: RepairTools,
  { object, repairId }: { readonly object: string; readonly repairId: string },
  options: CallOptions,
): Promise<void> {
  const { store } = tools.vault;
  const bytes = (await storableObjects(tools, options)).get(object);
  // The next backup was faster.
  if (bytes === undefined) return;
  const isSound = async (): Promise<boolean> => (await store.get(object, options)).equals(bytes);
  if ((await setAside(tools.vault, { object, repairId, isSound }, options)) === "sound") return;
  await store.put(object, [bytes], options);
  if (!(await isSound())) throw objectDamaged(object, "it does not read back as it was stored");
}

/** The content of WAL from elsewhere: the spool, or for a history the manifest of a backup on its timeline. */
async function again(
  { vault, spooled }: RepairTools,
  wal: Parameters<SpooledWal>[0],
  options: CallOptions,
): Promise<Buffer | undefined> {
  const found = await spooled(wal);
  if (found !== undefined || wal.kind === "segment") return found;
  for (const backup of (await listBackups(vault, wal, options)).backups) {
    if (backup.timeline !== wal.timeline) continue;
    const { header } = await readManifest(vault, backup, {}, options).catch(noManifest);
    if (header?.history !== undefined && header.history !== null) return Buffer.from(header.history);
  }
  return undefined;
}

function noManifest(error: unknown): { readonly header: undefined } {
  if (isLifeboatError(error) && NO_MANIFEST.has(error.code)) return { header: undefined };
  throw error;
}

async function putAgain(
  vault: Vault,
  blob: { readonly name: string; readonly plain: Buffer },
  options: CallOptions,
): Promise<void> {
  try {
    await putBlob(vault, blob, options);
  } catch (error) {
    // The receiver stored it first; what it reads back as tells.
    if (!isLifeboatError(error, "store.object-exists")) throw error;
  }
  const back = await getBlob(vault, blob.name, options);
  if (!back.equals(blob.plain)) throw objectDamaged(blob.name, "it does not read back as it was stored");
}

/** Copies an object to `quarantine/`, then deletes it. One that is gone, or sound after all, is left. */
async function setAside(
  vault: Vault,
  at: { readonly object: string; readonly repairId: string; readonly isSound: () => Promise<boolean> },
  options: CallOptions,
): Promise<"gone" | "sound" | "set-aside"> {
  const { store } = vault;
  const { object, repairId } = at;
  if ((await store.head(object, options)) === undefined) return "gone";
  if (await at.isSound()) return "sound";
  const bytes = await store.get(object, options);
  const copy = quarantineName({ repairId, object });
  await store.put(copy, [bytes], options);
  if (!(await store.get(copy, options)).equals(bytes)) {
    throw objectDamaged(copy, "the copy does not read back as it was stored; nothing was deleted");
  }
  await store.delete(object, options);
  return "set-aside";
}

/** Whether a record is one after all, as a check judges it: a disk that erred once loses nothing. */
async function isSoundRecord(vault: Vault, object: string, options: CallOptions): Promise<boolean> {
  if (object.startsWith(PROGRAMS_PREFIX))
    return isRestoreProgram(object, await vault.store.get(object, options)) === true;
  const isRecord = parseProofName(object) === undefined ? isBackupRecord : isProofRecord;
  return opensTo(vault, object, isRecord, options);
}

async function opensTo(
  vault: Vault,
  object: string,
  isWanted: (plain: Buffer) => boolean,
  options: CallOptions,
): Promise<boolean> {
  try {
    return isWanted(await getBlob(vault, object, options));
  } catch (error) {
    if (isLifeboatError(error, "vault.object-damaged")) return false;
    throw error;
  }
}

/** The record of a backup as its manifest tells of it; undefined when that does not open. */
async function recordFromManifest(
  vault: Vault,
  named: { readonly systemId: SystemId; readonly backupId: BackupId },
  options: CallOptions,
): Promise<BackupRecord | undefined> {
  try {
    const { header, end, chunks } = await readManifest(vault, named, {}, options);
    const { backupId, systemId, serverVersion, timeline, startLsn, startedAt, label, parent, whyFull } = header;
    const manifest = await vault.store.head(backupName(named, "manifest"), options);
    const packBytes = chunks.packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return {
      format: "lifeboat-backup",
      version: 1,
      ...{ backupId, systemId, label, serverVersion, timeline, startLsn, startedAt, parent, whyFull },
      // Which one it was taken for the manifest does not say; this one is kept longest.
      tier: "manual",
      endLsn: end.endLsn,
      walSegmentBytes: end.walSegmentBytes,
      endedAt: end.endedAt,
      fileCount: end.fileCount,
      dataBytes: end.dataBytes,
      // With the packs that it shares with others.
      storedBytes: packBytes + (manifest?.sizeBytes ?? 0),
      durationMs: Math.max(0, Date.parse(end.endedAt) - Date.parse(startedAt)),
    };
  } catch (error) {
    if (isLifeboatError(error) && NO_MANIFEST.has(error.code)) return undefined;
    throw error;
  }
}

const NO_MANIFEST: ReadonlySet<string> = new Set([
  "vault.object-damaged",
  "vault.object-missing",
  "vault.key-missing",
  "vault.format-unknown",
  "store.object-missing",
]);

/** Which backups need no mark, and which proofs that do not open say nothing any more. */
function judgeProofs({ proofs, damaged }: ProofListing): Pick<RepairFacts, "marked" | "outdated"> {
  const newest = new Map<string, ProofRecord>();
  for (const proof of proofs) newest.set(proof.backupId, proof);
  const failed = [...newest.values()].filter(({ failedAt }) => failedAt !== null);
  const outdated = damaged.filter(({ backupId, proofId }) => proofId < (newest.get(backupId)?.proofId ?? ""));
  return { marked: new Set(failed.map(({ backupId }) => backupId)), outdated: new Set(outdated.map(proofName)) };
}

function markOf(tools: RepairTools, step: Extract<RepairStep, { kind: "mark" }>): ProofRecord {
  const { clock, random } = tools.vault;
  const now = clock.now();
  const { backupId, systemId } = step.backup;
  const findings = step.findings.map(({ object, reason }) => {
    return { object, code: reason.code, message: reason.message };
  });
  const absent = findings.some(({ code }) => code.endsWith("object-missing"));
  return {
    format: "lifeboat-proof",
    version: 1,
    proofId: createBackupId(now, random) as string as ProofId,
    ...{ backupId, systemId },
    asked: "intact",
    reached: absent ? null : "present",
    failedAt: absent ? "present" : "intact",
    findings: findings.slice(0, FINDINGS_KEPT_MAX),
    findingCount: findings.length,
    startedAt: formatInstant(now),
    endedAt: formatInstant(now),
    durationMs: 0,
    phases: [],
    ...{ readBytes: 0, restoredBytes: 0, walBytes: 0 },
    ...{ pointLsn: null, pointTimeline: null, serverVersion: null, checked: null },
    host: tools.host,
  };
}
