/** What `restore` does. */
import os from "node:os";
import path from "node:path";
import { databaseMoved } from "../backup/database-moved.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { findFreePort } from "../platform/free-port.ts";
import type { ProcessUser } from "../platform/processes.ts";
import { parseControlFile } from "../postgres/control-file.ts";
import { findInstallation, type Installation, MAJORS } from "../postgres/installation.ts";
import { formatLsn, parseLsn, parseSegmentName, type SystemId, segmentStart } from "../postgres/lsn.ts";
import { LocalServer, SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import { majorOf } from "../postgres/server-version.ts";
import { measuredRates } from "../proof/decide.ts";
import { bootRestored } from "../restore/boot.ts";
import { presentTablespaces } from "../restore/delta-guard.ts";
import type { DeltaSurvey } from "../restore/delta-survey.ts";
import { estimateMs } from "../restore/estimate.ts";
import { checkOutside, checkTarget, layoutOf } from "../restore/layout.ts";
import {
  describeOnlyHere,
  describeOnlyHistories,
  findOnlyHere,
  isOnlyCopy,
  onlyHistories,
  refuseOnlyHere,
} from "../restore/only-here.ts";
import { plannedReach, replayBytes } from "../restore/plan.ts";
import { RECOVERY_FOLDER } from "../restore/recovery-files.ts";
import { describeUntold } from "../restore/refusal.ts";
import {
  type DeltaRestore,
  type PricedPlan,
  prepareDelta,
  prepareRestore,
  type RestoreProgress,
  runRestore,
  type SpaceNeed,
  spaceNeeds,
  spaceWarnings,
} from "../restore/restore.ts";
import type { RestoreWal } from "../restore/restore-wal.ts";
import type { PlannedStop } from "../restore/target.ts";
import { findWholeEnd } from "../restore/whole-end.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { parseWalKey } from "../vault/names.ts";
import { ChunkThreads } from "../vault/threads/start.ts";
import type { Vault } from "../vault/vault.ts";
import { formatWalTime } from "../wal/records/events.ts";
import { MACHINE, serverUserOf, uniqueName } from "./engine-machine.ts";
import { chooseSystem, heldWal } from "./engine-system.ts";
import { APART_SETTINGS, type RestoreEngine, type RestoreFacts, type RestorePlanFacts } from "./restore.ts";

const PHASES: Readonly<Record<RestoreProgress["phase"], string>> = {
  files: "writing the backup's files",
  wal: "laying WAL",
  sync: "syncing",
};

/** Where a restored server listens, whatever its configuration says: nobody else's client shall find it by accident. */
const LISTENS_ON = "127.0.0.1";

/**
 * A server that begins to recover syncs its data directory, by default a thousand files one after another. All of it was just
 * synced: one sync of the file system, which PostgreSQL has in every major on Linux, says the same at once.
 */
const SYNC_SETTINGS = { recovery_init_sync_method: "syncfs" };

/** Within the time that a command has to clean up. */
const ABORTED_STOP_TIMEOUT_MS = 10_000;

type Call = Parameters<RestoreEngine["plan"]>[0] & {
  readonly vault: Vault;
  /** Who the restored server will run as; undefined for who restores. */
  readonly user: ProcessUser | undefined;
};

/** Plans and carries out restores of the configured vault, which is being opened. */
export async function planConfiguredRestore(
  call: Omit<Call, "vault" | "user">,
  opening: Promise<Vault>,
): ReturnType<RestoreEngine["plan"]> {
  const threads = new ChunkThreads();
  // The passphrase is being stretched, which leaves a core with nothing to do. A plan by itself needs them to compare only.
  if (call.choice.delta || !call.dryRun) threads.start();
  const finding = serverUserOf(call.config.postgres.runAs, call.session.signal);
  finding.catch(() => undefined);
  try {
    return await planWith({ ...call, vault: await opening }, { threads, finding });
  } catch (error) {
    await threads.stop();
    throw error;
  }
}

/** By what a restore tells how far it is. */
function tellersOf({ clock, progress, notice }: Call["session"]) {
  return {
    clock,
    onProgress: ({ phase, doneBytes, totalBytes }: RestoreProgress): void =>
      progress.report(
        totalBytes === 0 ? { phase: PHASES[phase] } : { phase: PHASES[phase], done: doneBytes, total: totalBytes },
      ),
    onSearch: (done: number): void => progress.report({ phase: "looking through the WAL", done }),
    onNotice: notice,
  };
}

async function planWith(
  asked: Omit<Call, "user">,
  { threads, finding }: { readonly threads: ChunkThreads; readonly finding: Promise<Call["user"]> },
): ReturnType<RestoreEngine["plan"]> {
  const { config, session, choice, vault } = asked;
  const options = { signal: session.signal };
  const systemId = await chooseSystem(vault, choice.system, options);
  const wal = await heldWal(vault, config, systemId, options);
  const { files, locks } = MACHINE;
  const tools = { vault, files, locks, threads, wal, ...tellersOf(session) };
  const { target, timeline, backupId, acceptGap } = choice;
  // A server that somebody else starts must find all of its WAL.
  const walLaidBytesMax = choice.boot === undefined ? undefined : config.restore.walLaidMax;
  const request = { systemId, target, timeline, backupId, acceptGap, walLaidBytesMax };
  const plan = await prepareRestore(tools, request, options).catch((error: unknown) =>
    tellBackups(asked, { vault, systemId, damaged: undefined }, error),
  );
  // Also for a dry run, and for a server that somebody else starts.
  const ending = findWholeEnd(plan, wal, options);
  ending.catch(() => undefined);
  const user = await finding;
  const call = { ...asked, user };
  const tablespaces = choice.delta
    ? await presentTablespaces(files, choice.targetFolder, choice.tablespaces)
    : choice.tablespaces;
  const { roots } = layoutOf(choice.targetFolder, plan.tablespaces, tablespaces);
  await checkOutside(files, roots, [config.vault.path, config.folders.spool]);
  // Both start programs and wait for them, which need not keep the vault or the comparison waiting.
  const installing = choice.boot === undefined ? undefined : installationFor(call, plan);
  installing?.catch(() => undefined);
  const place = { folder: choice.targetFolder, tablespaces, owner: user };
  const tell = (phase: string) => (done: { readonly doneBytes: number; readonly totalBytes: number }) =>
    session.progress.report({ phase, done: done.doneBytes, total: done.totalBytes });
  const [onOpened, onCompared] = [tell("opening the WAL"), tell("comparing")];
  const deltaTools = { vault, files, threads, wal, processes: MACHINE.processes, onCompared, onOpened };
  const preparing = choice.delta ? prepareDelta(deltaTools, plan, place, options) : Promise.resolve(undefined);
  preparing.catch(() => undefined);
  const reaching = checkReachable(roots, user, options);
  reaching.catch(() => undefined);
  const delta = await preparing.catch((error: unknown) =>
    tellBackups(call, { vault, systemId, damaged: plan.backup.backupId }, error),
  );
  if (delta === undefined) await checkTarget(files, choice.targetFolder, plan.tablespaces, tablespaces);
  await reaching;
  await ending;
  const needs = await spaceNeeds(files, plan, place, delta);
  const onlyHere = await onlyHereWarnings(asked, { delta, wal, systemId });
  const facts = planFacts(plan, { choice, delta: delta?.survey, needs, onlyHere });
  // A dry run prints them with the plan.
  const said = [...doubtWarnings(plan, choice.backupId), ...stopWarnings(plan.stop), ...onlyHere];
  for (const warning of asked.dryRun ? [] : said) session.notice(warning);
  return {
    facts,
    close: () => threads.stop(),
    carryOut: async () => {
      const begun = session.clock.monotonic();
      // Found before anything is written: a restore that cannot be started should say so at once.
      const installation = await installing;
      await runRestore(tools, plan, place, { ...options, delta }).catch((error: unknown) =>
        tellBackups(call, { vault, systemId, damaged: plan.backup.backupId }, error),
      );
      await threads.stop();
      const filesMs = session.clock.monotonic() - begun;
      const server = installation === undefined ? undefined : await boot(call, { plan, installation, vault });
      const durationMs = session.clock.monotonic() - begun;
      const writtenBytes = (delta?.survey.writeBytes ?? plan.writeBytes) + plan.walBytes;
      return { plan: facts, owner: user?.name, durationMs, filesMs, writtenBytes, server };
    },
  };
}

/** What would be lost of the folder. Throws `restore.only-copy` where that could still be had: who names a moment wants what came later gone. */
async function onlyHereWarnings(
  { vault, choice, dryRun, session }: Omit<Call, "user">,
  {
    delta,
    wal,
    systemId,
  }: { readonly delta: DeltaRestore | undefined; readonly wal: RestoreWal; readonly systemId: SystemId },
): Promise<readonly string[]> {
  if (delta?.state.kind !== "data") return [];
  const { walFolder, stamp } = delta.state;
  const options = { signal: session.signal };
  const place = { folder: choice.targetFolder, walFolder, control: parseControlFile(Buffer.from(stamp, "base64")) };
  const held = { holdings: await wal.holdings(options), ...(await listBackups(vault, { systemId }, options)) };
  const histories = describeOnlyHistories(await onlyHistories(MACHINE.files, place, held.holdings));
  const found = await findOnlyHere(MACHINE.files, place, held, options);
  if (found === undefined) return histories;
  const isRefused = choice.target.kind === "latest" && !choice.giveUpCommits && isOnlyCopy(found);
  if (isRefused && !dryRun) refuseOnlyHere(choice.targetFolder, found);
  return [...histories, `${describeOnlyHere(choice.targetFolder, found)}${isRefused ? ": it will be refused" : ""}`];
}

/** Throws `platform.not-reachable` when the server's user could not enter a folder that is to be written. */
export async function checkReachable(
  roots: readonly string[],
  user: ProcessUser | undefined,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  if (user === undefined) return;
  for (const root of roots) {
    let existing = root;
    while ((await MACHINE.files.stat(existing)) === undefined) existing = path.dirname(existing);
    // The folder itself is given to the user; the way to it has to be open. Trying is the only sure test.
    const way = existing === root ? path.dirname(root) : existing;
    const tried = await MACHINE.processes.run({
      command: "test",
      args: ["-x", way],
      folder: "/",
      user,
      timeoutMs: TRY_TIMEOUT_MS,
      signal: options.signal,
    });
    if (tried.exit.kind === "exited" && tried.exit.status === 0) continue;
    throw new LifeboatError("platform.not-reachable", {
      message: `user ${user.name}, who will run the server, cannot enter ${way}`,
      remedy: `Restore into a folder that ${user.name} can reach, open ${way} with chmod o+x, or name another user with --postgres-run-as.`,
    });
  }
}

/** Damage ends a restore from one backup; says from which others it could be tried. Always rethrows. */
async function tellBackups(
  { session }: Pick<Call, "session">,
  held: { readonly vault: Vault; readonly systemId: SystemId; readonly damaged: string | undefined },
  error: unknown,
): Promise<never> {
  if (!DAMAGE.some((code) => isLifeboatError(error, code))) throw error;
  const { backups } = await listBackups(held.vault, { systemId: held.systemId }, { signal: session.signal });
  const segment = segmentOf(error);
  const serving = backups.filter(
    (each) => each.backupId !== held.damaged && (segment === undefined || beginsBehind(each, segment)),
  );
  const others = serving.slice(-OTHERS_SHOWN_MAX);
  const named = others.map((each) => `  --backup ${each.backupId}  (${each.label}, ended ${each.endedAt})`);
  const none =
    segment === undefined ? "The vault has no other backup of this system." : `No backup begins behind ${segment}.`;
  session.notice(
    named.length === 0 ? none : ["A restore from another backup may be possible:", ...named.toReversed()].join("\n"),
  );
  throw error;
}

/** The segment of WAL that an error says cannot be had. */
function segmentOf(error: unknown): string | undefined {
  const object = isLifeboatError(error) ? error.details["object"] : undefined;
  const wal = typeof object === "string" ? parseWalKey(object) : undefined;
  return wal?.kind === "segment" ? wal.segment : undefined;
}

/** Whether a restore from a backup does without a segment, and without all WAL before it. */
function beginsBehind({ startLsn, walSegmentBytes }: BackupRecord, segment: string): boolean {
  const start = parseSegmentName(segment, walSegmentBytes)?.start;
  return start !== undefined && segmentStart(parseLsn(startLsn), walSegmentBytes) > start;
}

const DAMAGE = [
  "vault.object-damaged",
  "vault.object-missing",
  "store.object-missing",
  "store.object-truncated",
] as const;

/** How many other backups are named: the newest are what anybody wants. */
const OTHERS_SHOWN_MAX = 5;

/** Asking one file's mode; more only on a dead network disk. */
const TRY_TIMEOUT_MS = 15_000;

async function boot(
  call: Call,
  restored: { readonly plan: PricedPlan; readonly installation: Installation; readonly vault: Vault },
): Promise<RestoreFacts["server"]> {
  const { config, session, choice, user } = call;
  const port = choice.boot?.port ?? (await findFreePort(MACHINE.random));
  const { binFolder } = restored.installation;
  const server = new LocalServer(
    { files: MACHINE.files, processes: MACHINE.processes, clock: session.clock },
    {
      installation: restored.installation,
      dataFolder: choice.targetFolder,
      user,
      socketFolder: socketFolderOf(choice.targetFolder, port),
      port,
      listenAddresses: [LISTENS_ON],
      logFile: path.join(choice.targetFolder, "lifeboat-restore", "server.log"),
      superuser: { name: config.server.user, password: undefined },
      settings: { ...SYNC_SETTINGS, ...APART_SETTINGS },
    },
  );
  session.progress.report({ phase: "replaying WAL" });
  const wal = await heldWal(restored.vault, config, restored.plan.systemId, { signal: session.signal });
  const onFed = (doneCount: number): void => session.progress.report(replayProgress(restored.plan, doneCount));
  const tools = { ...MACHINE, server, clock: session.clock, wal, onFed, onNotice: session.notice };
  const options = { timeoutMs: config.restore.bootTimeout, signal: session.signal };
  const reached = await bootRestored(tools, restored.plan, options).catch(async (error: unknown) => {
    if (!isLifeboatError(error, "platform.aborted")) throw error;
    await server.stop({ mode: "fast", timeoutMs: ABORTED_STOP_TIMEOUT_MS });
    throw new LifeboatError("platform.aborted", {
      message: "stopped on request while the restored server replayed WAL; that server was stopped",
      remedy: `The folder ${choice.targetFolder} is restored: ${howToGoOn(restored.plan, choice.targetFolder)}, or remove it and restore again.`,
      cause: error,
    });
  });
  const state = await server.state();
  const pid = state.kind === "stopped" ? 0 : state.pid;
  const { socketFolder } = server.setup;
  return { host: LISTENS_ON, port, pid, binFolder, socketFolder, reached, recoveryMs: reached.recoveryMs };
}

/** How far replay is, as far as feeding shows it. */
function replayProgress(plan: PricedPlan, doneCount: number) {
  const laid = plan.segments.length - plan.fed.length;
  return { phase: "replaying WAL", done: (laid + doneCount) * plan.walSegmentBytes, total: plan.walBytes };
}

function howToGoOn(plan: PricedPlan, folder: string): string {
  if (plan.fed.length === 0) return "start a server on it, which goes on replaying";
  return `run \`lifeboat wal feed --target ${folder}\` and start a server beside it, which goes on replaying`;
}

/** Inside the restored folder, which only the server's user can enter; elsewhere where that path is too long for a socket. */
function socketFolderOf(targetFolder: string, port: number): string {
  const inside = path.join(targetFolder, RECOVERY_FOLDER, "socket");
  const longest = Buffer.byteLength(path.join(inside, `.s.PGSQL.${port}.lock`));
  return longest <= SOCKET_PATH_BYTES_MAX ? inside : path.join("/tmp", `lifeboat-${uniqueName().slice(0, 8)}`);
}

/** The programs of the backup's major version. Throws `restore.version-mismatch`, `postgres.installation-missing`. */
export async function installationFor(
  { config, session, user }: Pick<Call, "config" | "session" | "user">,
  plan: Pick<PricedPlan, "backup">,
): Promise<Installation> {
  const wantedMajor = majorOf(plan.backup.serverVersion);
  const major = MAJORS.find((each) => each === wantedMajor);
  const { binDir } = config.postgres;
  if (major === undefined) throw versionMismatch(wantedMajor, "none", plan);
  const wanted = binDir === undefined ? { major } : { binFolder: binDir };
  try {
    const found = await findInstallation(MACHINE, { wanted, user, unique: uniqueName(), signal: session.signal });
    if (found.major === major) return found;
    throw versionMismatch(wantedMajor, found.version, plan);
  } catch (error) {
    if (!isLifeboatError(error, "postgres.version-unsupported")) throw error;
    throw versionMismatch(wantedMajor, "another", plan, error);
  }
}

function versionMismatch(
  wanted: number,
  found: string,
  plan: Pick<PricedPlan, "backup">,
  cause?: unknown,
): LifeboatError {
  return new LifeboatError("restore.version-mismatch", {
    message: `backup ${plan.backup.backupId} is of PostgreSQL ${wanted}, the programs found are ${found}`,
    remedy: `Name the programs of PostgreSQL ${wanted} with --postgres-bin-dir, or restore without --boot and start the server yourself.`,
    cause,
  });
}

function planFacts(
  plan: PricedPlan,
  {
    choice,
    delta,
    needs,
    onlyHere,
  }: {
    readonly choice: Call["choice"];
    readonly delta: DeltaSurvey | undefined;
    readonly needs: readonly SpaceNeed[];
    readonly onlyHere: readonly string[];
  },
): RestorePlanFacts {
  const measured = measuredRates(plan.proofs.proofs, os.hostname());
  const warnings: string[] = [];
  if (plan.gapAfter !== undefined) {
    warnings.push(`WAL is missing after ${plan.segments.at(-1)?.name ?? "the backup"}: this is not the newest point`);
  }
  if (plan.untold !== undefined && plan.target.kind !== "immediate") {
    warnings.push(
      `${describeUntold(plan.untold)}: what was committed there is left out. \`lifeboat points\` tells what can be restored of it`,
    );
  }
  warnings.push(
    ...doubtWarnings(plan, choice.backupId),
    ...stopWarnings(plan.stop),
    ...spaceWarnings(needs),
    ...onlyHere,
  );
  return {
    backupId: plan.backup.backupId,
    target: plan.target,
    stop: plan.stop,
    postgresMajor: majorOf(plan.backup.serverVersion),
    targetFolder: choice.targetFolder,
    reaches: {
      timeline: plan.timeline,
      lsn: plannedReach(plan),
      time: plan.target.kind === "time" ? plan.target.time : undefined,
    },
    dataBytes: plan.writeBytes,
    needs: needs.map(({ folders, freeBytes, neededBytes }) => ({ folders, freeBytes, neededBytes })),
    fetchBytes: delta?.fetchBytes ?? plan.fetchBytes,
    delta: delta && { keptBytes: delta.keptBytes, writeBytes: delta.writeBytes, removedCount: delta.removed.length },
    walSegmentCount: plan.segments.length,
    walBytes: plan.walBytes,
    fedBytes: plan.fed.length * plan.walSegmentBytes,
    estimatedMs: estimateMs({ ...plan, ...delta, replayBytes: replayBytes(plan) }, measured),
    warnings,
  };
}

/** What proofs and WAL say against the backup that is taken, or why a newer one is not. */
export function doubtWarnings(
  { backup, doubts, closedHistories }: Pick<PricedPlan, "backup" | "doubts" | "closedHistories">,
  named: string | undefined,
): readonly string[] {
  const { isDoubted, moved } = doubts;
  const against = (id: BackupRecord["backupId"]): string => {
    const copy = moved.get(id);
    return copy === undefined
      ? `the newest proof of backup ${id} failed or does not open`
      : `backup ${id} may lack a database: ${databaseMoved(copy).message}`;
  };
  const others = named === undefined ? "; no other backup serves" : "";
  const own = isDoubted ? [`${against(backup.backupId)}: what is restored may be incomplete or damaged${others}`] : [];
  const passedOver = doubts.passedOver
    .slice(-OTHERS_SHOWN_MAX)
    .map(
      ({ backupId }) => `${against(backupId)}, so an older one is taken; --backup ${backupId} takes it all the same`,
    );
  const closed = closedHistories.map((timeline) => `the history of timeline ${timeline} does not open: ${CLOSED}`);
  return [...own, ...passedOver.toReversed(), ...closed];
}

const CLOSED =
  "nothing that was written there is restored. `lifeboat vault repair` makes it again where a spool or a backup has it";

/** What a person may not expect of the record at which recovery stops. */
function stopWarnings(stop: PlannedStop): readonly string[] {
  if (stop.kind !== "record") return [];
  const warnings: string[] = [];
  const { record, others, leftOut } = stop;
  if (record.what === "abort") warnings.push(`transaction ${record.xid} was rolled back`);
  if (others.length > 0) {
    const later = others.slice(0, OTHERS_SHOWN_MAX).map((each) => formatLsn(each.lsn));
    const at = `${formatLsn(record.lsn)}, the first after the backup`;
    warnings.push(`the name was given ${others.length + 1} times; taken is the one at ${at}, not ${later.join(", ")}`);
  }
  if (leftOut !== undefined) {
    const dated = `it dated a transaction ${formatWalTime(leftOut.time)} behind the stop, in the segment at ${formatLsn(leftOut.segment)}`;
    warnings.push(
      `the server's clock was set back: ${dated}, and that one is left out; where it was ahead before, --to-lsn reaches it`,
    );
  }
  return warnings;
}
