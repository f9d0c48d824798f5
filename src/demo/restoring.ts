/**
 * Restores of the demo, by the same functions as `lifeboat restore --boot`, with a clock for each part.
 */
import type { Monotonic } from "../platform/clock.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { LocalServer } from "../postgres/server.ts";
import { bootRestored } from "../restore/boot.ts";
import { HeldWal } from "../restore/held-wal.ts";
import { prepareRestore, type RestoreProgress, type RestoreTools, runRestore } from "../restore/restore.ts";
import type { RecoveryTarget } from "../restore/target.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { openVault, type Vault } from "../vault/vault.ts";
import type { RecoveryPart } from "./facts.ts";
import { type ServerKit, startOnFreePort } from "./servers.ts";
import { bytesDone, type DemoProgress } from "./stage.ts";

/** What to restore, and where to. */
export type DemoRestore = {
  readonly systemId: SystemId;
  readonly target: RecoveryTarget;
  readonly dataFolder: string;
  readonly passphrase: string;
  readonly bootTimeoutMs: number;
  readonly progress: (progress: DemoProgress) => void;
  readonly made: (server: LocalServer) => void;
  readonly signal: AbortSignal;
};

const PHASES: Readonly<Record<RestoreProgress["phase"], string>> = {
  files: "restoring files",
  wal: "laying WAL",
  sync: "syncing",
};

/** Opens the vault as a fresh process would: with the passphrase alone. */
export async function openDemoVault(
  kit: ServerKit,
  passphrase: string,
  access: "read" | "write",
  options: { readonly signal: AbortSignal },
): Promise<Vault> {
  const { files, random, clock } = kit.ports;
  const store = await openDiskStore({ files, random, clock, folder: kit.place.vault, access });
  return openVault({ store, clock, random }, { kind: "passphrase", passphrase }, options);
}

/**
 * Restores and starts a server; resolves when it has left recovery and accepts connections. The parts begin at `from` and
 * leave no time out. Rejects as `prepareRestore`, `runRestore` and `bootRestored` do.
 */
export async function restoreServer(
  kit: ServerKit,
  request: DemoRestore,
  from: Monotonic,
): Promise<{ readonly server: LocalServer; readonly parts: readonly RecoveryPart[]; readonly readyAt: Monotonic }> {
  const { files, clock, locks } = kit.ports;
  const { signal } = request;
  const parts: RecoveryPart[] = [];
  let lapAt = from;
  const lap = (what: string, at = clock.monotonic()): void => {
    parts.push({ what, durationMs: Math.max(0, at - lapAt) });
    lapAt = at;
  };
  const vault = await openDemoVault(kit, request.passphrase, "read", { signal });
  const { systemId, target } = request;
  const [backup] = (await listBackups(vault, { systemId }, { signal })).backups;
  const sources = { vault, files, spoolFolder: kit.place.spool, systemId };
  const wal = new HeldWal(sources, backup?.walSegmentBytes ?? WAL_SEGMENT_BYTES);
  let walAt: Monotonic | undefined;
  const onProgress = (done: RestoreProgress): void => {
    if (done.phase !== "files") walAt ??= clock.monotonic();
    request.progress(bytesDone(PHASES[done.phase], done));
  };
  const tools: RestoreTools = { vault, files, clock, locks, wal, onProgress };
  const plan = await prepareRestore(tools, { systemId, target, acceptGap: false }, { signal });
  lap("open the vault, plan");
  const place = { folder: request.dataFolder, tablespaces: { byOid: new Map(), under: undefined }, owner: kit.user };
  await runRestore(tools, plan, place, { signal });
  lap("write the backup's files", walAt);
  lap("lay WAL, sync everything");
  request.progress({ phase: "replaying WAL" });
  const server = await startOnFreePort(kit, request.dataFolder, {
    made: request.made,
    start: (each) =>
      bootRestored({ server: each, files, clock, wal }, plan, { timeoutMs: request.bootTimeoutMs, signal }),
  });
  lap("start the server, replay WAL");
  return { server, parts, readyAt: lapAt };
}

/** What initdb makes unless told otherwise. */
const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;
