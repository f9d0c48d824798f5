/**
 * Restores a backup into a folder, up to a point in time.
 *
 * Nouns: the *plan* says what will be done and is what the dry run prints; the *image* is the backup's files; *laying* WAL
 * puts it into pg_wal before the server starts; a folder is *unfinished* from its first file to its control file.
 * Invariants: nothing is written into a folder that could hold somebody's data; WAL that is missing is an error, never
 * the end of the log; the control file comes last, so what was cut short cannot start and can be begun again.
 * Order: marker, image, WAL, settings, control file, marker away. Cut anywhere before the control file, the folder does
 * not start and the next restore clears it; after it, the folder is whole. A delta restore into a data directory removes
 * the control file behind the marker: cut before that, nothing was changed; after it, the same delta restore goes on. Before it all
 * WAL that is needed was seen to open, and the directory's own WAL goes when all of the image is written, unless it is kept aside.
 */
import path from "node:path";
import { assertPacksThere } from "../backup/known-damage.ts";
import { assert, LifeboatError } from "../errors/error.ts";
import { type Clock, throwIfAborted } from "../platform/clock.ts";
import { replaceVolatile, writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { severalAtOnce } from "../platform/several-at-once.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { historyName, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { type ManifestFile, type ManifestHeader, readManifest } from "../vault/manifest.ts";
import { listProofs, type ProofListing } from "../vault/proofs.ts";
import type { ChunkThreads } from "../vault/threads/start.ts";
import type { Vault } from "../vault/vault.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import { AheadOfTarget } from "./ahead-of-target.ts";
import { spareBytes } from "./aside-room.ts";
import type { PagesTaker } from "./compare-files.ts";
import {
  assertUnchanged,
  type DeltaProcesses,
  type DeltaState,
  guardDelta,
  presentTablespaces,
} from "./delta-guard.ts";
import { type DeltaSurvey, surveyTarget } from "./delta-survey.ts";
import type { Owner } from "./file-set.ts";
import { type PlannedImage, writeImage } from "./image-writer.ts";
import {
  checkApart,
  checkLayout,
  type Layout,
  layoutOf,
  placePath,
  type TablespaceChoice,
  tablespaceOf,
  WAL_FOLDER,
  withWalFolder,
} from "./layout.ts";
import { type MovedFound, movedUnder } from "./moved-databases.ts";
import { openWal } from "./open-wal.ts";
import { ownConfiguration, ownNameOf } from "./own-configuration.ts";
import { makeOwnedFolder } from "./owned-folder.ts";
import { feedPlan, laidSegments, plannedReach, plannedWalBytes, type RestorePlan } from "./plan.ts";
import {
  ownAccessRules,
  RECOVERY_FOLDER,
  type RecoveryFile,
  recoveryFiles,
  standbyFiles,
  startableConfiguration,
  type Upstream,
} from "./recovery-files.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { type ProofDoubts, planSound } from "./sound-plan.ts";
import { type RecoveryTarget, serverTarget } from "./target.ts";
import { clearUnfinished, markUnfinished, removeMarks } from "./target-guard.ts";
import { withTargetLocks } from "./target-lock.ts";
import { describeUnfinished } from "./unfinished-notice.ts";
import { fedDiskBytes } from "./wal-feeder.ts";
import { layWal } from "./wal-layer.ts";
import { ownByLayout, tablespaceGuard } from "./wal-tablespaces.ts";

/** What is asked for. */
export type RestoreRequest = {
  readonly systemId: SystemId;
  readonly target: RecoveryTarget;
  readonly backupId?: string | undefined;
  readonly acceptGap: boolean;
  /** Undefined: the newest that grew out of the backup's own. */
  readonly timeline?: Timeline | undefined;
  /** Most bytes of WAL to lay; the rest is fed by `bootRestored`. Undefined: all is laid, and any server may be started. */
  readonly walLaidBytesMax?: number | undefined;
  /** A proof finds by itself what there is against a backup: its WAL is not asked here. */
  readonly forProof?: boolean | undefined;
};

/** Where it goes. */
export type RestorePlace = {
  readonly folder: string;
  readonly tablespaces: TablespaceChoice;
  readonly owner: Owner | undefined;
  /** Given: the cluster is to follow this one as a standby. The plan must lay all its WAL; its target says how much that is. */
  readonly follow?: Upstream | undefined;
  /** The recovered server may use no folder but these: a tablespace that the WAL creates is refused, even where nothing is. */
  readonly isolated?: boolean | undefined;
};

/** How far a restore is. */
export type RestoreProgress = {
  readonly phase: "files" | "wal" | "sync";
  readonly doneBytes: number;
  readonly totalBytes: number;
};

export type RestoreTools = {
  readonly vault: Vault;
  readonly files: Files;
  readonly clock: Clock;
  readonly locks: Locks;
  readonly wal: RestoreWal;
  readonly onProgress: (progress: RestoreProgress) => void;
  /** Compare, then open what the vault holds. Undefined: each has its own. */
  readonly threads?: ChunkThreads | undefined;
  /** Told while planning how much of the WAL was looked through for the target. */
  readonly onSearch?: ((doneBytes: number) => void) | undefined;
  /** Given: whoever plans more than once does not ask the WAL of a backup again. */
  readonly found?: MovedFound | undefined;
  /** Told of what the restored folder has otherwise than the backup, and somebody should look at. */
  readonly onNotice?: ((text: string) => void) | undefined;
};

/** A plan with what it costs, and what is to be written. */
export type PricedPlan = RestorePlan & {
  readonly image: PlannedImage;
  /** All that the vault has of the system. */
  readonly proofs: ProofListing;
  readonly doubts: ProofDoubts;
  readonly fetchBytes: number;
  readonly writeBytes: number;
  readonly walBytes: number;
  readonly tablespaces: ManifestHeader["tablespaces"];
  /** How many of `writeBytes` go to each tablespace, by OID. */
  readonly tablespaceBytes: ReadonlyMap<number, number>;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Plans a restore from what the vault holds now: from a backup that failed its proof only where it is named, or no other serves.
 * Throws `restore.no-backup`, `restore.wal-gap`, `restore.point-out-of-reach`.
 */
export async function prepareRestore(
  tools: RestoreTools,
  request: RestoreRequest,
  options: CallOptions,
): Promise<PricedPlan> {
  const { systemId, target, backupId, acceptGap, timeline } = request;
  const proofs = await listProofs(tools.vault, { systemId }, options);
  let doneBytes = 0;
  const onSegment = (segmentBytes: number): void => {
    doneBytes += segmentBytes;
    tools.onSearch?.(doneBytes);
  };
  const wanted = { systemId, target, backupId, acceptGap, timeline };
  const { vault, wal, found } = tools;
  const under = async (plan: RestorePlan): Promise<UnsoundCopy | undefined> =>
    movedUnder({ wal, proofs, found }, plan, options);
  const asked = request.forProof === true ? undefined : under;
  const sound = await planSound({ vault, wal, proofs, onSegment, movedUnder: asked }, wanted, options);
  const plan = feedPlan(sound.plan, request.walLaidBytesMax ?? Number.POSITIVE_INFINITY);
  const tablespaceBytes = new Map<number, number>();
  const lines: ManifestFile[] = [];
  const onFile = (file: ManifestFile): void => {
    lines.push(file);
    const oid = tablespaceOf(file.path);
    if (oid === undefined || !("sizeBytes" in file)) return;
    tablespaceBytes.set(oid, (tablespaceBytes.get(oid) ?? 0) + file.sizeBytes);
  };
  const manifest = await readManifest(tools.vault, plan.backup, { onFile }, options);
  let fetchBytes = 0;
  for (const bytes of manifest.chunks.storedBytes) fetchBytes += bytes;
  const priced = { fetchBytes, writeBytes: plan.backup.dataBytes, walBytes: plannedWalBytes(plan) };
  return {
    ...plan,
    ...priced,
    tablespaces: manifest.header.tablespaces,
    tablespaceBytes,
    image: { lines, chunks: manifest.chunks },
    proofs,
    doubts: sound.doubts,
  };
}

/** What a delta restore into a data directory found and needs. */
export type DeltaRestore = {
  readonly survey: DeltaSurvey;
  /** What was there when it was compared. */
  readonly state: DeltaState;
  /** Looks whether a server runs there. */
  readonly processes: DeltaProcesses;
  /** The old directory can be had back, whatever becomes of the restore. */
  readonly isKeptAside: boolean;
  /** Called when all was looked at once more and nothing is changed yet: the last moment to keep what goes. */
  readonly beforeChange?: (() => Promise<void>) | undefined;
};

/**
 * Looks at what lies in the folder of a delta restore. Undefined when nothing does: an ordinary restore it is then. Throws
 * `restore.target-in-use`, `restore.other-system`, `restore.target-not-empty`, `restore.tablespace-in-wal`, and as opening WAL does; changes nothing.
 */
export async function prepareDelta(
  tools: Pick<RestoreTools, "vault" | "files" | "threads" | "wal"> & {
    readonly processes: DeltaProcesses;
    readonly onCompared: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
    readonly onOpened?: ((progress: { readonly doneBytes: number; readonly totalBytes: number }) => void) | undefined;
    /** Asked once it is known that something lies there: who takes what it has otherwise than the backup. Undefined: nothing is kept. */
    readonly takerOf?: ((state: DeltaState) => Promise<PagesTaker | undefined>) | undefined;
  },
  plan: PricedPlan,
  place: RestorePlace,
  options: CallOptions,
): Promise<DeltaRestore | undefined> {
  const { processes } = tools;
  const planned = layoutOf(place.folder, plan.tablespaces, place.tablespaces);
  await checkApart(tools.files, planned);
  const state = await guardDelta(tools, planned, plan.systemId);
  if (state.kind === "fresh") return undefined;
  const layout = withWalFolder(planned, state.walFolder);
  await checkApart(tools.files, layout);
  const taker = await tools.takerOf?.(state);
  // Its own folder of a tablespace that the backup has not may be one that the WAL creates: better told before anything goes.
  const known = new Set(plan.tablespaces.map(({ oid }) => oid));
  const present = await presentTablespaces(tools.files, place.folder, { byOid: new Map(), under: undefined });
  const own = ownByLayout(layout, plan.tablespaces);
  const isKeptAside = tools.takerOf !== undefined;
  if (!isKeptAside || [...present.byOid.keys()].some((oid) => !known.has(oid))) {
    const { folder, isolated } = place;
    await openWal(tools, plan, { folder, couldStart: state.kind === "data", own, isolated }, options);
  }
  const survey = await surveyTarget(
    { ...tools, taker, onProgress: tools.onCompared },
    { image: plan.image, layout, placePath: (manifestPath) => placePath(layout, manifestPath) },
    options,
  );
  // To open what is fetched would fetch it twice; that it is there is soon seen.
  if (!isKeptAside) await assertPacksThere(tools.vault, survey.packs, options);
  return { survey, state, processes, isKeptAside };
}

/**
 * Carries out a plan. With `delta` what lies in the folder is kept where the backup has it too. Resolves when the folder
 * could be started and all of it is on stable storage. Throws `restore.target-changed`, `restore.target-not-empty`, `restore.target-in-use`, `restore.no-space`, `restore.tablespace-unmapped`,
 * `restore.tablespace-in-wal`, and whatever reading the vault throws.
 */
export async function runRestore(
  tools: RestoreTools,
  plan: PricedPlan,
  place: RestorePlace,
  options: CallOptions & { readonly delta?: DeltaRestore | undefined },
): Promise<void> {
  const planned = layoutOf(place.folder, plan.tablespaces, place.tablespaces);
  const layout = withWalFolder(planned, options.delta?.state.walFolder);
  if (options.delta === undefined) await checkLayout(tools.files, layout);
  else await checkApart(tools.files, layout);
  const makeRoot = (folder: string): Promise<void> => makeOwnedFolder(tools.files, folder, place.owner);
  await withTargetLocks({ ...tools, makeRoot }, layout.roots, () =>
    restoreInto(tools, plan, { place, layout }, options),
  );
}

async function restoreInto(
  tools: RestoreTools,
  plan: PricedPlan,
  { place, layout }: { readonly place: RestorePlace; readonly layout: Layout },
  options: CallOptions & { readonly delta?: DeltaRestore | undefined },
): Promise<void> {
  const { delta } = options;
  // Asked again now that no other restore can be here.
  if (delta === undefined) await clearUnfinished(tools.files, layout.roots);
  else assertUnchanged(place.folder, delta.state, await guardDelta({ ...tools, ...delta }, layout, plan.systemId));
  await checkSpace(tools.files, bytesByRoot(plan, layout, delta && reusedBy(delta)));
  await delta?.beforeChange?.();
  await markRoots(tools, layout, place.owner);
  const walFolder = layout.walFolder ?? path.join(place.folder, WAL_FOLDER);
  const surplus = surplusOf(delta?.survey.removed ?? [], walFolder);
  if (delta !== undefined) await clearSurplus(tools.files, layout, surplus.others);
  await makeRecoveryFolders(tools.files, layout, place.owner);
  const told = new BesideProgress(tools.onProgress);
  const own = ownByLayout(layout, plan.tablespaces);
  const make = (folder: string): Promise<void> => makeOwnedFolder(tools.files, folder, place.owner);
  const onTablespace = tablespaceGuard(tools.files, plan, { make, own, isolated: place.isolated });
  const ahead = new AheadOfTarget(plan);
  const shown = { onProgress: told.wal, onTablespace, onPassing: ahead.pass };
  const walTools = { files: tools.files, wal: tools.wal, owner: place.owner, ...shown };
  const isOnlyOne = delta !== undefined && !delta.isKeptAside;
  let keepsWal = isOnlyOne;
  // Synced with the files: segment by segment, nothing would be done meanwhile.
  const lay = async (all: CallOptions): Promise<void> => {
    keepsWal = false;
    await removeAll(tools.files, surplus.wal);
    await layWal(walTools, plan, walFolder, all);
  };
  const writing = writeImage(
    { vault: tools.vault, files: tools.files, threads: tools.threads, onProgress: told.files },
    {
      backup: plan.backup,
      image: plan.image,
      roots: layout.roots,
      placePath: (manifestPath) => placePath(layout, manifestPath),
      owner: place.owner,
      kept: delta?.survey.kept,
      wantedBytes: delta?.survey.writeBytes ?? plan.writeBytes,
      beside: isOnlyOne ? undefined : lay,
      last: async (controlFile) => {
        // A chunk may not open: until all have, the directory's own WAL is what can bring its commits back.
        if (isOnlyOne) await lay(options);
        await makeLinks(tools.files, layout, place.owner);
        await writeFiles(tools.files, place, settingsOf(plan, layout, place.follow));
        await configureIfOutside(tools.files, place, controlFile);
        await keepApart(tools, place);
        tools.onProgress({ phase: "sync", doneBytes: 0, totalBytes: 0 });
      },
    },
    options,
  );
  const image = await writing.catch((error: unknown) => {
    if (isOnlyOne && delta.state.kind !== "fresh") {
      const left = { before: delta.state.kind, keptWal: keepsWal ? walFolder : undefined };
      tools.onNotice?.(describeUnfinished(place.folder, left));
    }
    throw error;
  });
  if (ahead.found !== undefined) tools.onNotice?.(ahead.found);
  throwIfAborted(options.signal, "finishing the restore");
  await finish(tools.files, place, { controlFile: image.controlFile, roots: layout.roots });
}

type Done = Pick<RestoreProgress, "doneBytes" | "totalBytes">;

/** Tells of the files until they are all written, then of the WAL that is written beside them. */
class BesideProgress {
  readonly #tell: (progress: RestoreProgress) => void;
  #filesWritten = false;
  #wal: Done | undefined;

  constructor(tell: (progress: RestoreProgress) => void) {
    this.#tell = tell;
  }

  readonly files = (done: Done): void => {
    this.#filesWritten = done.doneBytes === done.totalBytes;
    this.#tell({ phase: "files", ...done });
    if (this.#filesWritten && this.#wal !== undefined) this.#tell({ phase: "wal", ...this.#wal });
  };

  readonly wal = (done: Done): void => {
    this.#wal = done;
    if (this.#filesWritten) this.#tell({ phase: "wal", ...done });
  };
}

function settingsOf(plan: PricedPlan, layout: Layout, follow: Upstream | undefined): readonly RecoveryFile[] {
  const laid = [
    ...[...plan.histories, ...plan.closedHistories].map(historyName),
    ...laidSegments(plan).map(({ name }) => name),
  ];
  const fed = plan.fed.map(({ name }) => name);
  if (follow === undefined) {
    const { timeline, tablespaces } = plan;
    const moved = tablespaces.filter((each) => layout.tablespaceFolders.get(each.oid) !== path.resolve(each.location));
    const replayed = { from: parseLsn(plan.backup.startLsn), to: plannedReach(plan) };
    return recoveryFiles({
      target: serverTarget(plan.target, plan.stop),
      timeline,
      laid,
      fed,
      moved: moved.map(({ oid }) => oid),
      replayed,
    });
  }
  assert(fed.length === 0, "a standby finds its WAL in pg_wal and at its upstream");
  return standbyFiles(follow);
}

/** Makes the roots, with the marks of a restore that has not ended. */
export async function markRoots(
  tools: Pick<RestoreTools, "files" | "vault">,
  layout: Layout,
  owner: Owner | undefined,
): Promise<void> {
  const { files, vault } = tools;
  const main = layout.roots[0] ?? "";
  const restoreId = vault.random(RESTORE_ID_BYTES).toString("hex");
  for (const folder of layout.roots) {
    await makeOwnedFolder(files, folder, owner);
    await files.changeMode(folder, 0o700);
    await markUnfinished(files, folder, { restoreId, main });
  }
}

/** The segments and histories that go, which may be as much as all that is written, and what else goes: folders are made where that lies. */
function surplusOf(removed: readonly string[], walFolder: string) {
  const isWal = (each: string): boolean =>
    path.dirname(each) === walFolder && /^(?:[0-9A-F]{24}|[0-9A-F]{8}\.history)/.test(path.basename(each));
  return { wal: removed.filter(isWal), others: removed.filter((each) => !isWal(each)) };
}

/** From the control file's removal on the folder cannot be started. */
async function clearSurplus(files: Files, { roots }: Layout, removed: readonly string[]): Promise<void> {
  const control = path.join(roots[0] ?? "", CONTROL_FILE_PATH);
  await files.remove(control);
  if ((await files.stat(path.dirname(control))) !== undefined) await files.syncFolder(path.dirname(control));
  await removeAll(files, removed);
}

async function removeAll(files: Files, removed: readonly string[]): Promise<void> {
  await severalAtOnce(removed.toReversed(), REMOVERS, async (each) => await files.removeTree(each));
}

/** Files and folders removed at a time: one after another, the segments of an old pg_wal take longer than comparing a GiB. */
const REMOVERS = 4;

async function makeRecoveryFolders(files: Files, layout: Layout, owner: Owner | undefined): Promise<void> {
  const main = layout.roots[0] ?? "";
  for (const folder of [RECOVERY_FOLDER, `${RECOVERY_FOLDER}/outside`]) {
    const made = path.join(main, folder);
    await files.makeFolder(made, 0o700);
    if (owner !== undefined) await files.changeOwner(made, owner);
  }
}

/** Makes the links from the data directory to what lies outside. Whoever calls it syncs the file system. */
export async function makeLinks(files: Files, layout: Layout, owner: Owner | undefined): Promise<void> {
  for (const { at, target } of layout.links) {
    // A delta restore leaves a link that leads there.
    if ((await files.stat(at)) !== undefined) continue;
    await files.symlink(target, at);
    if (owner !== undefined) await files.changeOwner(at, owner);
  }
}

/** Writes the files of a recovery. Not synced, one by one; whoever calls it syncs the file system, before the control file makes anything of them count. */
export async function writeFiles(
  files: Files,
  place: Pick<RestorePlace, "folder" | "owner">,
  wanted: readonly RecoveryFile[],
): Promise<void> {
  for (const file of wanted) {
    const target = path.join(place.folder, file.path);
    const append = file.how === "append" && (await files.stat(target)) !== undefined;
    const before = append ? await files.readFile(target) : Buffer.alloc(0);
    const bytes = Buffer.concat([before, Buffer.from(file.text)]);
    const { owner } = place;
    await replaceVolatile(files, { file: target, bytes, permissions: file.mode, unique: "lifeboat", owner });
  }
}

async function configureIfOutside(files: Files, place: RestorePlace, controlFile: Buffer): Promise<void> {
  const missing: RecoveryFile[] = [];
  for (const file of startableConfiguration(parseControlFile(controlFile).capacity)) {
    if ((await files.stat(path.join(place.folder, file.path))) === undefined) missing.push(file);
  }
  await writeFiles(files, place, missing);
}

/** Sees to it that a server started in the folder works there. Not synced, as all that is written before the control file. */
export async function keepApart(
  { files, onNotice }: Pick<RestoreTools, "files" | "onNotice">,
  place: Pick<RestorePlace, "folder" | "owner">,
): Promise<void> {
  const { rewritten, added, missing, unseen } = await ownConfiguration(files, place.folder);
  const { owner } = place;
  for (const [file, bytes] of rewritten) {
    await replaceVolatile(files, { file, bytes, permissions: 0o600, unique: "lifeboat", owner });
  }
  for (const [name, value] of missing) {
    const why = unseen.get(name);
    const own = path.join(place.folder, ownNameOf(name));
    if (why !== undefined) onNotice?.(`${name} = '${value}' was taken out (${why}): look at ${own}, which counts now`);
    const captured = path.join(place.folder, RECOVERY_FOLDER, "outside", path.basename(value));
    const said = (await readIfThere(files, captured))?.toString("utf8");
    await writeFiles(files, place, [
      { path: ownNameOf(name), text: ownAccessRules(name, said), mode: 0o600, how: "new" },
    ]);
  }
  await writeFiles(files, place, added);
}

/** Writes the control file, with which the folder can be started, and takes the marks away. */
export async function finish(
  files: Files,
  place: Pick<RestorePlace, "folder" | "owner">,
  written: { readonly controlFile: Buffer; readonly roots: readonly string[] },
): Promise<void> {
  const target = path.join(place.folder, CONTROL_FILE_PATH);
  const parts = [written.controlFile];
  // From here on no root counts as unfinished, whether or not its marker is taken away.
  await writeDurable(files, { file: target, parts, over: "new", permissions: 0o600, unique: "lifeboat" });
  if (place.owner !== undefined) await files.changeOwner(target, place.owner);
  for (const folder of written.roots) await removeMarks(files, folder);
}

/** Random bytes of a restore's id: no two restores may take each other's folders for their own. */
const RESTORE_ID_BYTES = 16;

/** Of what is there, what counts as free: a delta restore writes over it, or removes it first. */
type Reused = Pick<DeltaSurvey, "presentBytes" | "removedWalBytes">;

/** What is kept under another name before it goes gives no space back. */
function reusedBy({ survey, beforeChange }: DeltaRestore): Reused {
  const { presentBytes, removedWalBytes } = survey;
  return { presentBytes, removedWalBytes: beforeChange === undefined ? removedWalBytes : 0 };
}

/** What a restore needs of a file system, beside what it finds and takes for free: see `spaceNeeds`. */
export type SpaceNeed = {
  readonly folders: readonly string[];
  readonly freeBytes: number;
  readonly neededBytes: number;
  /** An interrupted restore left something there, which the next one removes first: as much is free then as well. */
  readonly isCleared: boolean;
};

/** What `runRestore` will ask of each file system; it throws `restore.no-space` where one has less. Changes nothing. */
export async function spaceNeeds(
  files: Files,
  plan: PricedPlan,
  { folder, tablespaces }: Pick<RestorePlace, "folder" | "tablespaces">,
  delta: DeltaRestore | undefined,
): Promise<readonly SpaceNeed[]> {
  const layout = withWalFolder(layoutOf(folder, plan.tablespaces, tablespaces), delta?.state.walFolder);
  const needs = await needsOf(files, bytesByRoot(plan, layout, delta && reusedBy(delta)));
  return Promise.all(
    needs.map(async (need) => ({ ...need, isCleared: delta === undefined && (await isFilled(need)) })),
  );

  async function isFilled(need: { readonly folders: readonly string[] }): Promise<boolean> {
    for (const each of need.folders) {
      if ((await files.stat(each)) !== undefined && (await files.list(each)).length > 0) return true;
    }
    return false;
  }
}

/** What carrying out the plan would be refused for. */
export function spaceWarnings(needs: readonly SpaceNeed[]): readonly string[] {
  const short = needs.filter(({ freeBytes, neededBytes }) => freeBytes < neededBytes);
  return short.map((need) =>
    need.isCleared
      ? `${describeNeed(need)}; what an interrupted restore left there is removed first`
      : `${describeNeed(need)}: it will be refused`,
  );
}

function describeNeed({ folders, freeBytes, neededBytes }: Omit<SpaceNeed, "isCleared">): string {
  return `the file system of ${folders.join(", ")} has ${describeByteSize(freeBytes)} free, the restore needs ${describeByteSize(neededBytes)}`;
}

/** Throws `restore.no-space` where a file system has less room than is needed in its folders. */
export async function checkSpace(files: Files, bytes: ReadonlyMap<string, number>): Promise<void> {
  for (const need of await needsOf(files, bytes)) {
    const { freeBytes, neededBytes } = need;
    if (freeBytes >= neededBytes) continue;
    throw new LifeboatError("restore.no-space", {
      message: describeNeed(need),
      remedy: "Free space there, or restore into a folder on a larger file system.",
      details: { freeBytes, neededBytes },
    });
  }
}

async function needsOf(files: Files, bytes: ReadonlyMap<string, number>) {
  const needed = new Map<number, { freeBytes: number; neededBytes: number; readonly folders: string[] }>();
  for (const [folder, neededBytes] of bytes) {
    let existing = folder;
    while ((await files.stat(existing)) === undefined) existing = path.dirname(existing);
    const { freeBytes, device } = await files.space(existing);
    const sum = needed.get(device) ?? { freeBytes, neededBytes: 0, folders: [] };
    sum.neededBytes += neededBytes;
    sum.folders.push(folder);
    needed.set(device, sum);
  }
  return [...needed.values()];
}

function bytesByRoot(plan: PricedPlan, layout: Layout, reused: Reused | undefined): ReadonlyMap<string, number> {
  const [main = "", ...others] = layout.roots;
  const bytes = new Map(others.map((root) => [root, 0]));
  const presentIn = (oid: number | undefined): number => reused?.presentBytes.get(oid) ?? 0;
  let inside = plan.writeBytes - presentIn(undefined);
  for (const [oid, tablespaceBytes] of plan.tablespaceBytes) {
    const root = layout.tablespaceFolders.get(oid) ?? "";
    // What is present on one disk makes no room on another.
    if (bytes.has(root)) bytes.set(root, Math.max(0, tablespaceBytes - presentIn(oid)));
    inside -= bytes.has(root) ? tablespaceBytes : presentIn(oid);
  }
  const walBytes = laidSegments(plan).length * plan.walSegmentBytes + fedDiskBytes(plan);
  const { walFolder } = layout;
  if (walFolder !== undefined) bytes.set(walFolder, Math.max(0, walBytes - (reused?.removedWalBytes ?? 0)));
  const spare = spareBytes(plan.walSegmentBytes);
  return bytes.set(main, Math.max(0, inside) + (walFolder === undefined ? walBytes : fedDiskBytes(plan)) + spare);
}
