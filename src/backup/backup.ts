/**
 * Takes a backup: the server's own base backup, page by page into the vault.
 *
 * Nouns: a *backup* is a restorable image of a cluster; it is *announced* once it could be restored; *coverage* is the WAL
 * from the backup's start to its end lying readable in the vault.
 * Invariants: nothing is announced before every pack and the manifest were read back and the WAL is covered, nor unless every
 * pack is still there then; the announcement is read back too; whatever ends a backup early leaves no announced backup behind;
 * packs are never shared between backups under way.
 * Order: started marker, packs, the WAL, in which the image and the parent of a delta are cleared, manifest, announcement. Cut anywhere, the
 * vault holds what it held, and objects that nothing names; a manifest only of an image that may be announced, which a repair does.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { MAJORS } from "../postgres/installation.ts";
import { formatLsn, type Lsn, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection, SystemIdentity } from "../postgres/replication.ts";
import { majorOf } from "../postgres/server-version.ts";
import {
  announce,
  type BackupRecord,
  type BackupTier,
  createBackupId,
  listBackups,
  markStarted,
} from "../vault/backups.ts";
import type { CompressionChoice } from "../vault/codec.ts";
import { newestOf } from "../vault/dated-ahead.ts";
import { backupName } from "../vault/names.ts";
import { checkSameVault } from "../vault/same-vault.ts";
import { getBlob, type Vault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import type { HeldStretch, SettingsAnswer, SettingsQuestion } from "../wal/settings-between.ts";
import { chooseParent, type ParentChoice } from "./choose-parent.ts";
import { databaseMoved } from "./database-moved.ts";
import type { WhyFull } from "./decide.ts";
import {
  assertImageThere,
  type Image,
  type ImageRun,
  readHistory,
  readSettings,
  storeImage,
  storeManifest,
} from "./image.ts";
import type { ParentImage } from "./parent-image.ts";
import type { BackupProgress } from "./progress.ts";
import { Remains } from "./remains.ts";

/** What is asked for. */
export type BackupRequest = {
  readonly label: string;
  /** For which tier of retention; `manual` unless said. */
  readonly tier?: BackupTier | undefined;
  readonly checkpoint: "fast" | "spread";
  readonly compression: CompressionChoice;
  readonly maxRateKiB?: number | undefined;
  /** Let a vault that holds another system's backups take this one too, for example after pg_upgrade. */
  readonly adoptSystem: boolean;
  /** Store every page, whatever an earlier backup has. */
  readonly full?: boolean | undefined;
};

/** Makes sure that WAL reaches the vault while a backup runs. */
export interface WalCoverage {
  /** Resolves once WAL from the server's current position on is on its way into the vault, whatever happens to it on the server. */
  begin(server: SystemIdentity, options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Resolves once all WAL of the range is readable in the vault. Throws `backup.wal-not-covered` when it does not get there. */
  covered(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
  /** What the WAL says. Left out where it cannot be asked for: every backup is then a full one, and databases are not moved meanwhile. */
  readonly between?: WalBetween;
}

/** What the WAL since an earlier backup tells, and that of the backup itself. */
export interface WalBetween {
  /** Whether all of a stretch is held, and nobody noted that it does not read. */
  holds(
    stretch: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<HeldStretch>;
  /** Whether it shows a change of the settings that a parent depends on. */
  settings(question: SettingsQuestion, options: { readonly signal?: AbortSignal | undefined }): Promise<SettingsAnswer>;
  /** A database that was copied by its files within an image's range, all of it held, and that replay would copy otherwise. */
  unsoundCopy(
    image: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<UnsoundCopy | undefined>;
}

/** A file of the server that lies outside its data directory, for example Debian's postgresql.conf. */
export type OutsideFile = { readonly name: string; readonly content: Buffer };

export type BackupTools = {
  readonly vault: Vault;
  readonly clock: Clock;
  readonly connection: ReplicationConnection;
  readonly wal: WalCoverage;
  readonly outsideFiles: readonly OutsideFile[];
  readonly onProgress: (progress: BackupProgress) => void;
  /** Told when the earlier backup turns out to be damaged while pages are kept of it: all is then stored once more, whole. */
  readonly onParentDamaged?: ((damage: LifeboatError) => void) | undefined;
  /** Told of WAL since the earlier backup that does not open: no page of that is kept then. */
  readonly onWalUnreadable?: ((damage: LifeboatError) => void) | undefined;
  /** Told when a database was moved, or copied by its files, while the image was taken: it is then taken once more. */
  readonly onMoved?: ((moved: LifeboatError) => void) | undefined;
  /** Told of paths in the data directory that the server left out, and that are none of its data. */
  readonly onSkipped?: ((paths: readonly string[]) => void) | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Takes one backup and announces it. Safe to repeat after any failure. */
export async function takeBackup(
  tools: BackupTools,
  request: BackupRequest,
  options: CallOptions,
): Promise<BackupRecord> {
  const begun = tools.clock.monotonic();
  const startedAt = tools.clock.now();
  checkServerVersion(tools.connection.serverVersion);
  const server = await tools.connection.identifySystem(options);
  const earlier = await checkVaultTakes(tools, server.systemId, request, options);
  const named = { systemId: server.systemId, backupId: createBackupId(startedAt, tools.vault.random) };
  await tools.wal.begin(server, options);
  const remains = new Remains(tools.vault);
  try {
    await markStarted(remains.vault, named, { startedAt: formatInstant(startedAt), label: request.label }, options);
    const settings = await readSettings(tools.connection, options);
    const history = await readHistory(tools.connection, server.timeline, options);
    const run = { named, server, startedAt, settings, history };
    const imageTools = { ...tools, vault: remains.vault };
    // In the vault itself: the history was there before, or is of use to others, and outlives a backup that fails.
    const cover = (image: Image): Promise<void> => coverImage(tools, run, image, options);
    const image = await storeSoundImage(imageTools, request, { ...run, earlier, cover }, options);
    // What is named in a vault that took this one's place meanwhile, nobody takes away again.
    await checkSameVault(tools.vault, options);
    await storeManifest(remains.vault, { named, ...image }, options);
    const record: BackupRecord = {
      format: "lifeboat-backup",
      version: 1,
      ...named,
      label: request.label,
      tier: request.tier ?? "manual",
      serverVersion: tools.connection.serverVersion,
      timeline: server.timeline,
      startLsn: formatLsn(image.sink.start.startLsn),
      endLsn: formatLsn(image.end.endLsn),
      walSegmentBytes: image.control.walSegmentBytes,
      startedAt: formatInstant(startedAt),
      endedAt: formatInstant(tools.clock.now()),
      whyFull: image.whyFull ?? null,
      parent: image.parent?.record.backupId ?? null,
      fileCount: image.sink.fileCount,
      dataBytes: image.sink.dataBytes,
      storedBytes: image.storedBytes,
      durationMs: Math.round(tools.clock.monotonic() - begun),
    };
    tools.onProgress({ phase: "announce", doneBytes: image.sink.dataBytes, totalBytes: image.sink.dataBytes });
    await checkSameVault(tools.vault, options);
    await assertImageThere(tools.vault, image, options);
    await announceOnce(tools.vault, record, { ...options, onUncertain: () => remains.keep() });
    return record;
  } catch (error) {
    await remains.remove();
    throw error;
  }
}

/** An image that a database was moved under is taken once more; who moves them all day is told so. */
const IMAGES_MAX = 2;

/** Stores an image that its WAL, covered then, makes whole. Throws `backup.database-moved`. */
async function storeSoundImage(
  tools: BackupTools,
  request: BackupRequest,
  run: ImageRun & {
    readonly earlier: BackupRecord | undefined;
    readonly cover: (image: Image) => Promise<void>;
  },
  options: CallOptions,
): Promise<Image> {
  for (let count = 1; ; count += 1) {
    const image = await storeProvenImage(tools, request, run, options);
    await run.cover(image);
    const copy = await tools.wal.between?.unsoundCopy(rangeOf(run, image), options);
    if (copy === undefined) return image;
    const moved = databaseMoved(copy);
    if (count === IMAGES_MAX) throw moved;
    tools.onMoved?.(moved);
  }
}

/** Resolves once all WAL of the image is in the vault. */
async function coverImage(tools: BackupTools, run: ImageRun, image: Image, options: CallOptions): Promise<void> {
  const { vault, onProgress, wal } = tools;
  const { history, named, server } = run;
  const { dataBytes } = image.sink;
  onProgress({ phase: "wal", doneBytes: dataBytes, totalBytes: dataBytes });
  // Found here already, what was exchanged is told before the wait for WAL that cannot come.
  await checkSameVault(vault, options);
  if (history !== null) {
    // Without it a server refuses to recover along this timeline.
    await putHistory(vault, { ...named, timeline: server.timeline, content: Buffer.from(history) }, options);
  }
  await wal.covered(rangeOf(run, image), options);
}

function rangeOf({ named, server }: ImageRun, { sink, end }: Image) {
  return { systemId: named.systemId, timeline: server.timeline, from: sink.start.startLsn, to: end.endLsn };
}

/**
 * Stores the image; a second time, whole, when the parent is found damaged, or the WAL shows afterwards that it could not be trusted.
 * The first one's chunks stay in the vault until a prune finds that nothing names them.
 */
async function storeProvenImage(
  tools: BackupTools,
  request: BackupRequest,
  run: ImageRun & { readonly earlier: BackupRecord | undefined },
  options: CallOptions,
): Promise<Image> {
  const choice: Promise<ParentChoice> =
    request.full === true
      ? Promise.resolve({ parent: undefined, whyFull: "asked-for" })
      : chooseParent(tools, run, options);
  // Read while the server sends: an hour of WAL takes about as long as a delta.
  const between = choice.then((chosen) => readEarlierSettings(tools, run, chosen, options));
  // Both are taken later, the choice once the server has its checkpoint; a failure before that is nobody's to take.
  choice.catch(() => undefined);
  let known: WhyFull | undefined;
  between.then(
    (answer) => {
      if (answer !== undefined && answer.kind !== "same") known = DISPROOF[answer.kind];
    },
    () => undefined,
  );
  // What is disproved before the server sends is sent once.
  const chosen = async (): Promise<ParentChoice> => {
    const { parent } = await choice;
    return parent === undefined || known === undefined ? choice : { parent: undefined, whyFull: known };
  };
  const first = await storeImage(tools, request, { ...run, choice: chosen }, options);
  if (first.kind === "parent-damaged") tools.onParentDamaged?.(first.damage);
  const disproof =
    first.kind === "stored" ? await disprove(tools, run, { ...first, earlier: between }, options) : first.kind;
  if (first.kind === "stored" && disproof === undefined) return first.image;
  const full = async (): Promise<ParentChoice> => ({ parent: undefined, whyFull: disproof });
  const second = await storeImage(tools, request, { ...run, choice: full }, options);
  assert(second.kind === "stored", "an image without a parent has no damaged one");
  return second.image;
}

async function readEarlierSettings(
  tools: BackupTools,
  run: ImageRun,
  { parent, heldTo }: ParentChoice,
  options: CallOptions,
): Promise<SettingsAnswer | undefined> {
  if (parent === undefined || heldTo === undefined) return undefined;
  const stretch = { from: parseLsn(parent.record.endLsn), to: heldTo };
  return askSettings(tools, questionOf(run, parent, stretch), options);
}

async function askSettings(
  { wal, onWalUnreadable }: BackupTools,
  question: SettingsQuestion,
  options: CallOptions,
): Promise<SettingsAnswer | undefined> {
  const answer = await wal.between?.settings(question, options);
  if (answer?.kind === "unreadable" && answer.damage !== undefined) onWalUnreadable?.(answer.damage);
  return answer;
}

/** Why the parent of a stored image cannot be trusted after all; undefined when it can. */
async function disprove(
  tools: BackupTools,
  run: ImageRun,
  stored: { readonly image: Image; readonly earlier: Promise<SettingsAnswer | undefined> },
  options: CallOptions,
): Promise<WhyFull | undefined> {
  const { parent, control, sink } = stored.image;
  if (parent === undefined) return undefined;
  if (control.dataChecksumVersion !== parent.end.dataChecksumVersion) return "checksums-switched";
  const before = await stored.earlier;
  if (before === undefined) return DISPROOF.missing;
  if (before.kind !== "same") return DISPROOF[before.kind];
  const { startLsn } = sink.start;
  tools.onProgress({ phase: "wal", doneBytes: sink.dataBytes, totalBytes: sink.dataBytes });
  // The end of the stretch lies in the first segment that the backup itself needs, which is waited for anyway.
  const { systemId } = run.named;
  const { timeline } = run.server;
  await tools.wal.covered({ systemId, timeline, from: startLsn, to: stored.image.end.endLsn }, options);
  const rest = await askSettings(tools, questionOf(run, parent, { from: before.reached, to: startLsn }), options);
  if (rest === undefined) return DISPROOF.missing;
  if (rest.kind === "same") return rest.reached >= startLsn ? undefined : DISPROOF.missing;
  return DISPROOF[rest.kind];
}

const DISPROOF = {
  changed: "settings-changed-between",
  missing: "wal-missing-between",
  unreadable: "wal-unreadable-between",
} as const;

function questionOf(
  run: ImageRun,
  parent: ParentImage,
  stretch: { readonly from: Lsn; readonly to: Lsn },
): SettingsQuestion {
  const { wal_level: walLevel = "", wal_log_hints: hints } = parent.header.settings;
  const { timeline } = run.server;
  return { systemId: run.named.systemId, timeline, ...stretch, walLevel, walLogHints: hints === "on" };
}

/** Throws `backup.foreign-system`; returns the newest backup that the vault has of the system, if any. */
async function checkVaultTakes(
  { vault, clock }: BackupTools,
  systemId: SystemId,
  request: BackupRequest,
  options: CallOptions,
): Promise<BackupRecord | undefined> {
  const { backups, damaged } = await listBackups(vault, {}, options);
  const others = new Set([...backups, ...damaged].map((backup) => backup.systemId));
  if (others.size === 0 || others.has(systemId) || request.adoptSystem) {
    const own = backups.filter((backup) => backup.systemId === systemId);
    return newestOf(own, clock.now());
  }
  throw new LifeboatError("backup.foreign-system", {
    message: `the server is system ${systemId}, the vault in ${vault.store.name} holds backups of system ${[...others].join(", ")}`,
    remedy:
      "Give this server a vault of its own, or pass --adopt-system when it replaces the other (after pg_upgrade). The old spool stays needed for the last WAL of the old server.",
  });
}

function checkServerVersion(serverVersion: number): void {
  const major = majorOf(serverVersion);
  if (MAJORS.some((each) => each === major)) return;
  throw new LifeboatError("backup.version-unsupported", {
    message: `the server is PostgreSQL ${major}, Lifeboat backs up ${MAJORS[0]} to ${MAJORS.at(-1)}`,
    remedy: "Use a Lifeboat that knows this version.",
  });
}

/**
 * Announces, or rejects knowing that nothing was announced. When not even that can be told, says so by `onUncertain` and
 * rejects: the announcement may stand, and with it everything it needs.
 */
async function announceOnce(
  vault: Vault,
  record: BackupRecord,
  options: CallOptions & { readonly onUncertain: () => void },
): Promise<void> {
  try {
    await announce(vault, record, options);
  } catch (error) {
    let announced: boolean;
    try {
      // The acknowledgement alone may have been lost.
      announced = (await vault.store.head(backupName(record, "announced"))) !== undefined;
    } catch {
      // The failure that brought us here is the one to report.
      options.onUncertain();
      throw error;
    }
    if (!announced) throw error;
  }
  await readBackAnnouncement(vault, record, options);
}

/** Takes an announcement back that the store did not keep as it was given; rejects then. */
async function readBackAnnouncement(vault: Vault, record: BackupRecord, options: CallOptions): Promise<void> {
  const name = backupName(record, "announced");
  try {
    await getBlob(vault, name, options);
  } catch (error) {
    // Acknowledged, and only not to be looked at now: announced.
    if (!isLifeboatError(error, "vault.object-damaged") && !isLifeboatError(error, "store.object-missing")) return;
    await vault.store.delete(name, options);
    throw error;
  }
}
