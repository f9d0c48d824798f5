/** What `backup` does. */

import { takeBackup } from "../backup/backup.ts";
import { captureOutsideFiles } from "../backup/outside-files.ts";
import type { Config } from "../config/schema.ts";
import { filesOfFolder } from "../platform/owned-files.ts";
import { standBack } from "../platform/priority.ts";
import { currentUid } from "../platform/run-as.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { checkProtected } from "../stack/protected-server.ts";
import { describeDuration } from "../units/duration.ts";
import { keepMarkers } from "../vault/marker.ts";
import { keepRestoreProgram } from "../vault/restore-program.ts";
import type { Vault } from "../vault/vault.ts";
import { ReceivedCoverage } from "../wal/coverage.ts";
import { addressUnder } from "../wal/mandate.ts";
import { createReceiver } from "../wal/receiver.ts";
import { parseSegmentSize } from "../wal/segment-size.ts";
import { backupUpdate, type TakeConfiguredBackup } from "./backup.ts";
import { serverConnection } from "./compose.ts";
import { MACHINE, uniqueName } from "./engine-machine.ts";
import { meantServer } from "./engine-server.ts";
import { printable } from "./style.ts";

/** A vault that gets nothing new for so long while a backup waits for WAL is not going to. */
const WAL_TIMEOUT_MS = 120_000;

type Call = Parameters<TakeConfiguredBackup>[0] & {
  /** Being opened: a passphrase takes a third of a second to stretch, in which the server can be reached. */
  readonly vault: Promise<Vault>;
};

/** Takes a backup of the configured server into the configured vault. */
export async function takeConfiguredBackup(call: Call): ReturnType<TakeConfiguredBackup> {
  const { config, session, choice } = call;
  const { signal, clock } = session;
  await standBack(config.backup.nice);
  const { vault, server } = await openBoth(call.vault, (until) => reachServer(call, until), { signal });
  const { connection, outsideFiles } = server;
  let coverage: ReceivedCoverage | undefined;
  try {
    // A vault of an earlier version gets what is new.
    await keepRestoreProgram({ store: vault.store, files: MACHINE.files }, { signal });
    await keepMarkers(vault, { signal });
    coverage = await prepareCoverage(call, vault, server.walSegmentBytes);
    return await takeBackup(
      {
        vault,
        clock,
        connection,
        wal: coverage,
        outsideFiles,
        onProgress: (progress) => session.progress.report(backupUpdate(progress)),
        onSkipped: (paths) => session.notice(skippedNotice(paths)),
        onParentDamaged: ({ message, code }) =>
          session.notice(`the earlier backup is damaged: ${message} (${code}); this one is taken anew, whole`),
        onWalUnreadable: ({ message, code }) =>
          session.notice(
            `WAL since the earlier backup does not open: ${message} (${code}); every page is stored, and recovery from backups before this one ends there`,
          ),
        onMoved: ({ message, code }) => session.notice(`${message} (${code}); it is taken once more`),
      },
      { ...choice, compression: compressionOf(config), maxRateKiB: rateOf(config) },
      { signal },
    );
  } finally {
    await coverage?.end();
    await connection.close();
  }
}

/**
 * The vault and the server, which are reached beside each other; where neither is, what is wrong with the vault is told. What
 * was reached is closed when the vault does not open, and a vault that does not open is not kept waiting by the server.
 */
export async function openBoth<Opened, Reached extends { readonly connection: { close(): Promise<void> } }>(
  opening: Promise<Opened>,
  reach: (signal: AbortSignal) => Promise<Reached>,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly vault: Opened; readonly server: Reached }> {
  const gaveUp = new AbortController();
  const reaching = reach(AbortSignal.any([signal, gaveUp.signal]));
  // Awaited behind the vault: until then its rejection is nobody's.
  reaching.catch(() => undefined);
  try {
    return { vault: await opening, server: await reaching };
  } catch (error) {
    gaveUp.abort(error);
    await reaching.then(
      ({ connection }) => connection.close(),
      () => undefined,
    );
    throw error;
  }
}

async function reachServer(call: Call, signal: AbortSignal) {
  const { address, terms } = await meantServer(call, "lifeboat_backup");
  const connection = await openReplication(address, { signal });
  try {
    checkProtected(await connection.identifySystem({ signal }), terms);
    const walSegmentBytes = parseSegmentSize(await connection.show("wal_segment_size", { signal }));
    const outsideFiles = await captureOutsideFiles(address, { signal, warn: call.session.notice });
    return { connection, walSegmentBytes, outsideFiles };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function prepareCoverage(call: Call, vault: Vault, walSegmentBytes: number) {
  const { config, session, choice } = call;
  const { clock } = session;
  const receiverAddress = await serverConnection(call, config.receiver.applicationName);
  const spoolFiles = await filesOfFolder(MACHINE.files, config.folders.spool, currentUid());
  return new ReceivedCoverage({
    vault,
    clock,
    files: MACHINE.files,
    locks: MACHINE.locks,
    spoolFolder: config.folders.spool,
    walSegmentBytes,
    timeoutMs: WAL_TIMEOUT_MS,
    onUnfilled: ({ segment }) => session.notice(unfilledNotice(segment)),
    createReceiver: () =>
      createReceiver(
        {
          ...MACHINE,
          files: spoolFiles,
          vault,
          clock,
          // A spool that has a mandate has it for whoever receives into it.
          connect: ({ mandate, signal: until }) =>
            openReplication(addressUnder(mandate, receiverAddress), { signal: until }),
        },
        {
          spoolFolder: config.folders.spool,
          slot: `lifeboat_backup_${uniqueName()}`,
          slotLifetime: "session",
          applicationName: config.receiver.applicationName,
          pid: process.pid,
          statusIntervalMs: config.receiver.statusInterval,
          newSystem: choice.adoptSystem,
        },
      ),
  });
}

function skippedNotice(paths: readonly string[]): string {
  const named = paths.map((each) => printable(each)).join(", ");
  return `warning: not in this backup, because the server leaves links and special files out: ${named}`;
}

function unfilledNotice(segment: string): string {
  const within = describeDuration(WAL_TIMEOUT_MS);
  return `warning: this backup ends in the segment ${segment}, which is not full, and a replica cannot end it: run SELECT pg_switch_wal() on the primary within ${within}`;
}

function compressionOf({ backup }: Config) {
  return { level: backup.compressionLevel };
}

function rateOf({ backup }: Config): number | undefined {
  return backup.maxRate === undefined ? undefined : Math.ceil(backup.maxRate / 1024);
}
