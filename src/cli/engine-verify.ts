/** What `verify` does. */
import os from "node:os";
import { parseInvariants } from "../config/invariants-file.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { formatLsn, type SystemId } from "../postgres/lsn.ts";
import { type ProofProgress, proveBackup } from "../proof/act.ts";
import { isAtLeast, standings } from "../proof/decide.ts";
import { proveEach } from "../proof/each.ts";
import { lookForExtensions } from "../proof/extensions.ts";
import type { NotCompared } from "../proof/relation-checks.ts";
import { removeLeftSandboxes } from "../proof/sandbox.ts";
import { type BackupListing, type BackupRecord, listBackups } from "../vault/backups.ts";
import { newestOf } from "../vault/dated-ahead.ts";
import { listProofs, type ProofRecord } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import type { CreatedTablespace } from "../wal/records/tablespaces.ts";
import { openConfiguredVault } from "./compose.ts";
import { MACHINE, serverUserOf } from "./engine-machine.ts";
import { checkReachable, installationFor } from "./engine-restore.ts";
import { chooseSystem, protectedSystem } from "./engine-system.ts";
import type { ProgressUpdate } from "./progress.ts";
import type { ProvenFacts, VerifyConfigured } from "./verify.ts";

type Call = Parameters<VerifyConfigured>[0];

/** Proves one backup after another; one that cannot be proven is told with the others. */
export const verifyConfigured: VerifyConfigured = async (call) => {
  const { config, session, choice } = call;
  const options = { signal: session.signal };
  const vault = await openConfiguredVault(call, "write");
  const backups = await chosenBackups(vault, call, options);
  const invariants = await readInvariants(call);
  const sandboxFolder = choice.sandboxFolder ?? config.folders.sandbox;
  const user = await serverUserOf(config.postgres.runAs, session.signal);
  const boots = isAtLeast(choice.depth, "booted");
  const ports = { ...MACHINE, clock: session.clock };
  for (const folder of await removeLeftSandboxes(ports, sandboxFolder)) {
    session.notice(`removed ${folder}, which a proof that was killed had left`);
  }
  if (boots) await checkReachable([sandboxFolder], user, options);
  const { made, unproven } = await proveEach(backups, async (backup, index) => {
    // Before anything is restored for it: programs that cannot do what is asked should say so at once.
    const installation = boots ? await installationFor({ ...call, user }, { backup }) : undefined;
    if (installation !== undefined && choice.depth === "checked") await lookForExtensions(ports.files, installation);
    const of = backups.length === 1 ? "" : ` (${index + 1} of ${backups.length})`;
    const onProgress = (progress: ProofProgress): void => session.progress.report(updateOf(progress, of));
    const onUnrecorded = (record: ProofRecord): void => session.notice(unrecordedNotice(record));
    return proveBackup(
      { ...ports, vault, onProgress, onUnrecorded },
      {
        backup,
        depth: choice.depth,
        sandboxFolder,
        installation,
        user,
        role: config.server.user,
        bootTimeoutMs: config.restore.bootTimeout,
        walLaidBytesMax: config.restore.walLaidMax,
        invariants,
        host: os.hostname(),
      },
      options,
    );
  });
  for (const { record, stoppedBefore, notCompared } of made) {
    for (const each of notCompared) session.notice(notComparedNotice(each));
    if (stoppedBefore !== undefined) session.notice(stoppedNotice(record.backupId, stoppedBefore));
  }
  const walGaps = made.flatMap(({ record, gap }) => (gap === undefined ? [] : [{ backupId: record.backupId, ...gap }]));
  return { proofs: made.map(({ record }) => record), walGaps, unproven, proven: await provenNow(vault, options) };
};

function stoppedNotice(backupId: string, { lsn, oid, location }: CreatedTablespace): string {
  return `The proof of backup ${backupId} stopped at ${formatLsn(lsn)}: there the WAL creates tablespace ${oid} in ${location}, which may be the running server's folder. Take a new backup: it has the tablespace, and is proven with it.`;
}

function notComparedNotice({ object, why }: NotCompared): string {
  return `Of ${object} the order was checked only, and not that it has every row: ${why}`;
}

function unrecordedNotice({ backupId, reached, failedAt, findings, findingCount }: ProofRecord): string {
  const shown = reached === null ? "nothing was shown" : `${reached} was shown`;
  const head = `The proof of backup ${backupId} is not recorded.`;
  if (failedAt === null) return `${head} It passed: ${shown}.`;
  const told = findings.slice(0, FINDINGS_TOLD_MAX).map(({ object, message }) => `${object}: ${message}`);
  return `${head} It failed at ${failedAt}, ${shown}. Findings: ${findingCount}. ${told.join("; ")}`;
}

/** Of one that is told in a line. */
const FINDINGS_TOLD_MAX = 5;

const STEPS: Readonly<Record<ProofProgress["step"], string>> = {
  reading: "reading every byte",
  files: "writing the backup's files",
  wal: "laying WAL",
  sync: "syncing",
  replaying: "replaying WAL",
  pages: "checking pages",
  relations: "checking tables and indexes",
  invariants: "asking the invariants",
};

function updateOf({ step, done, total }: ProofProgress, of: string): ProgressUpdate {
  const unit = step === "relations" ? "relations" : "bytes";
  return { phase: `${STEPS[step]}${of}`, done, total, unit };
}

async function chosenBackups(
  vault: Vault,
  call: Call,
  options: { readonly signal: AbortSignal },
): Promise<readonly BackupRecord[]> {
  const { choice, session } = call;
  if (choice.backupId === undefined) {
    const now = session.clock.now();
    const systemId = await meantSystem(vault, call, { ...options, now });
    const listing = await listBackups(vault, { systemId }, options);
    const newest = newestOf(listing.backups, now);
    if (newest === undefined) throw noBackup(vault, listing, `no backup of system ${systemId}`);
    return choice.all ? listing.backups : [newest];
  }
  const listing = await listBackups(vault, {}, options);
  const found = listing.backups.find(({ backupId }) => backupId === choice.backupId);
  if (found !== undefined) return [found];
  const damaged = listing.damaged.find(({ backupId }) => backupId === choice.backupId);
  if (damaged !== undefined) throw damaged.reason;
  throw noBackup(vault, listing, `no backup ${choice.backupId}`);
}

async function meantSystem(
  vault: Vault,
  { config, session, choice }: Call,
  options: { readonly signal: AbortSignal; readonly now: Instant },
): Promise<SystemId> {
  if (choice.system !== undefined) return chooseSystem(vault, choice.system, options);
  const { now } = options;
  const { systemId, among } = await protectedSystem(vault, { spoolFolder: config.folders.spool, now }, options);
  if (among > 1) {
    session.notice(
      `the vault holds ${among} systems: this is about ${systemId}, which is protected; others by --system`,
    );
  }
  return systemId;
}

function noBackup(vault: Vault, listing: BackupListing, what: string): LifeboatError {
  const { backups, damaged } = listing;
  const unread = damaged.length === 0 ? "" : `, and ${damaged.length} whose record cannot be read`;
  return new LifeboatError("vault.backup-unknown", {
    message: `the vault in ${vault.store.name} has ${what}, it has ${backups.length} others${unread}`,
    remedy: "List them with `lifeboat backups`.",
  });
}

async function readInvariants({ config }: Call) {
  const file = config.proof.invariantsFile;
  if (file === undefined) return [];
  try {
    return parseInvariants((await MACHINE.files.readFile(file)).toString("utf8"), file);
  } catch (cause) {
    if (!isLifeboatError(cause, "platform.file-missing") && !isLifeboatError(cause, "platform.file-denied"))
      throw cause;
    throw new LifeboatError("proof.invariants-unreadable", {
      message: `the file of the invariants cannot be read: ${cause.message}`,
      remedy: "Correct proof.invariantsFile, or make the file.",
      cause,
    });
  }
}

async function provenNow(vault: Vault, options: { readonly signal: AbortSignal }): Promise<readonly ProvenFacts[]> {
  const { backups } = await listBackups(vault, {}, options);
  const found = standings(await listProofs(vault, {}, options));
  return backups.flatMap(({ backupId }) => {
    const standing = found.get(backupId);
    return standing?.kind === "proven" ? [{ backupId, depth: standing.depth, endedAt: standing.proof.endedAt }] : [];
  });
}
