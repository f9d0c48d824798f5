/** Which database system of a vault is meant, and where its WAL lies. */
import type { Config } from "../config/schema.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { HeldWal } from "../restore/held-wal.ts";
import { type BackupListing, listBackups } from "../vault/backups.ts";
import { newestOf } from "../vault/dated-ahead.ts";
import type { Vault } from "../vault/vault.ts";
import { hasSystem, listSystems } from "../vault/wal-store.ts";
import type { WalSources } from "../wal/get.ts";
import { readSpoolState } from "../wal/spool-state.ts";
import { MACHINE } from "./engine-machine.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

const SYSTEM_ID = /^\d{1,20}$/;

/** The system that was named, else the only one of the vault. Throws `vault.system-unclear`. */
export async function chooseSystem(vault: Vault, wanted: string | undefined, options: CallOptions): Promise<SystemId> {
  // PostgreSQL asks for one segment at a time, and a listing of all WAL takes longer than its replay.
  if (wanted !== undefined && SYSTEM_ID.test(wanted) && (await hasSystem(vault, wanted as SystemId, options))) {
    return wanted as SystemId;
  }
  const systems = await listSystems(vault, options);
  const [only, second] = systems;
  if (wanted === undefined && only !== undefined && second === undefined) return only;
  const held = systems.length === 0 ? "nothing" : `system ${(await dated(vault, systems, options)).join(" and ")}`;
  throw new LifeboatError("vault.system-unclear", {
    message:
      wanted === undefined
        ? `the vault in ${vault.store.name} holds ${held}, and none was named`
        : `the vault in ${vault.store.name} holds ${held}, not system ${wanted}`,
    remedy:
      systems.length === 0 ? "Take a backup first: lifeboat backup." : `Name one with --system ${systems.at(-1)}.`,
  });
}

async function dated(vault: Vault, systems: readonly SystemId[], options: CallOptions): Promise<readonly string[]> {
  const { backups } = await listBackups(vault, {}, options);
  return systems.map((system) => {
    const newest = backups.findLast(({ systemId }) => systemId === system);
    return newest === undefined ? `${system} (no backup)` : `${system} (newest backup ended ${newest.endedAt})`;
  });
}

/**
 * The system that is protected, where none was named: the only one of the vault, else the one whose WAL this machine's spool receives, else
 * that of the newest backup. After pg_upgrade a vault has the old one, too. Throws `vault.system-unclear`.
 */
export async function protectedSystem(
  vault: Vault,
  { spoolFolder, now }: { readonly spoolFolder: string; readonly now: Instant },
  options: CallOptions,
): Promise<{ readonly systemId: SystemId; readonly among: number }> {
  const systems = await listSystems(vault, options);
  const among = systems.length;
  const [only] = systems;
  // A listing of systems goes through all WAL: once is enough.
  if (only !== undefined && among === 1) return { systemId: only, among };
  const received = (await readSpoolState(MACHINE.files, spoolFolder))?.systemId;
  if (received !== undefined && systems.includes(received)) return { systemId: received, among };
  const newest = newestOf((await listBackups(vault, {}, options)).backups, now);
  return { systemId: newest?.systemId ?? (await chooseSystem(vault, undefined, options)), among };
}

/** Where the WAL of a system lies: in the vault, and in this machine's spool. */
export function walSources(vault: Vault, config: Config, systemId: SystemId): WalSources {
  return { vault, files: MACHINE.files, spoolFolder: config.folders.spool, systemId };
}

/** The segment size of a system, from its backups, else from the spool. Undefined when neither knows it. */
export async function segmentBytesOf(
  listing: BackupListing,
  config: Config,
  systemId: SystemId,
): Promise<number | undefined> {
  const backup = listing.backups.findLast((each) => each.systemId === systemId);
  if (backup !== undefined) return backup.walSegmentBytes;
  const state = await readSpoolState(MACHINE.files, config.folders.spool);
  return state?.systemId === systemId ? state.walSegmentBytes : undefined;
}

/** The WAL that a restore of this system can use. Throws `restore.no-backup` when the vault has no backup of it. */
export async function heldWal(
  vault: Vault,
  config: Config,
  systemId: SystemId,
  options: CallOptions,
): Promise<HeldWal> {
  const listing = await listBackups(vault, { systemId }, options);
  const walSegmentBytes = await segmentBytesOf(listing, config, systemId);
  if (walSegmentBytes === undefined || listing.backups.length === 0) {
    throw new LifeboatError("restore.no-backup", {
      message: `the vault in ${vault.store.name} has no backup of system ${systemId}`,
      remedy: "See `lifeboat backups`.",
    });
  }
  return new HeldWal(walSources(vault, config, systemId), walSegmentBytes);
}
