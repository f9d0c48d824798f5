/**
 * Plans a prune: looks at the vault, decides, and lists every object that goes. Nothing is changed.
 *
 * Nouns: the *mark* is the set of packs that the manifests of all remaining backups name; a pack is *settled* when it is
 * older than a day and older than every backup under way, so that no manifest to come names it. That is not known while
 * one is under way whose start is dated ahead. Dates alone do not tell it either while one is under way without a manifest: where
 * the clock was set back for a while, its packs are dated before its start. Then only *outlived* packs go, which the manifest
 * of a backup names that is erased: ids are random, so that they are none of its own.
 * Invariants: a listing that fails ends the plan; while a record or a manifest of a remaining backup is missing or cannot be
 * read, nothing is deleted, and only what was named gets a tombstone; no pack goes while a system has WAL and no record at
 * all. Packs are listed before backups, and the manifest of every announced one is read by its name, so that one stored in
 * between is seen.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { type Lsn, parseLsn, type SystemId, type Timeline, timelineOfSegment } from "../postgres/lsn.ts";
import { type BackupListing, type BackupRecord, listBackups } from "../vault/backups.ts";
import { isAhead } from "../vault/dated-ahead.ts";
import { lostAnnouncements } from "../vault/lost-announcements.ts";
import { lostHistories, noteLeft } from "../vault/lost-histories.ts";
import { readManifest } from "../vault/manifest.ts";
import { readMadeMs } from "../vault/marker.ts";
import {
  BACKUPS_PREFIX,
  type BackupId,
  backupName,
  historyKey,
  PACKS_PREFIX,
  packName,
  parseBackupName,
  parseProofName,
  parseWalKey,
  WAL_PREFIX,
} from "../vault/names.ts";
import { type AbsentAnnouncement, halfRepaired } from "../vault/quarantine.ts";
import { opensForOthers } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { getHistory } from "../vault/wal-store.ts";
import { parseHistory, type TimelineHistory } from "../wal/history.ts";
import { recoveryPoints } from "../wal/recovery-points.ts";
import {
  decideRetention,
  isNamed,
  type ProofStanding,
  type RetainedBackup,
  type RetentionDecision,
  type RetentionPolicy,
  type UnfinishedBackup,
} from "./decide.ts";
import { type Hold, listHolds } from "./holds.ts";
import { readTombstoneWhy, type TombstoneWhy } from "./tombstones.ts";
import { decideWal, type WalDecision } from "./wal-needs.ts";

/** An object that goes. */
export type RemovedObject = { readonly name: string; readonly sizeBytes: number };

type Named = { readonly systemId: SystemId; readonly backupId: BackupId };

/** What a prune does, in this order. */
export type PrunePlan = {
  readonly decision: RetentionDecision;
  readonly holds: readonly Hold[];
  /** Backups that stay after all: their tombstones go. */
  readonly revive: readonly Named[];
  readonly tombstone: readonly (Named & { readonly why: TombstoneWhy })[];
  /** Backups whose grace is over, and abandoned ones: their objects, in the order in which they are deleted. */
  readonly erase: readonly (Named & { readonly objects: readonly RemovedObject[] })[];
  /** Packs that nothing names. */
  readonly packs: readonly RemovedObject[];
  readonly wal: readonly RemovedObject[];
  readonly walKeepFrom: WalDecision["keepFrom"];
  /** What is missing, cannot be read or is not settled, and has to be known: while there is any, nothing is deleted. */
  readonly damage: readonly LifeboatError[];
};

export type PlanRequest = {
  readonly policy: RetentionPolicy;
  /** What the proofs of backups come to. */
  readonly proofs: ReadonlyMap<BackupId, ProofStanding>;
  /** Why proofs do not open. What others can read may say that a backup is the only proven one, or failed. */
  readonly unopenedProofs: readonly { readonly reason: LifeboatError }[];
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

const NOTHING = { revive: [], tombstone: [], erase: [], packs: [], wal: [], walKeepFrom: [], damage: [] } as const;

const DAY_MS = 86_400_000;
/** What is younger may belong to a backup whose started marker we have not seen. */
const SETTLED_MS = DAY_MS;

/** Makes the plan. Rejects when the vault cannot be listed, or a named backup is not there (`vault.backup-unknown`). */
export async function planPrune(vault: Vault, request: PlanRequest, options: CallOptions): Promise<PrunePlan> {
  const packs = await listObjects(vault, PACKS_PREFIX, options);
  const wal = await listObjects(vault, WAL_PREFIX, options);
  const records = await listObjects(vault, BACKUPS_PREFIX, options);
  const listing = await listBackups(vault, {}, options);
  const holds = await listHolds(vault, options);
  const now = vault.clock.now();
  const systems = await readSystems(vault, { listing, wal }, options);
  const backups = await retainedBackups(vault, { listing, systems }, options);
  const names = new Set(records.map(({ name }) => name));
  const lost = lostAnnouncements({ names, unfinished: listing.unfinished, now });
  const ahead = listing.unfinished.filter(({ startedMs }) => isAhead(startedMs, now));
  checkNamed(vault, request.policy.named, [...backups, ...listing.damaged, ...lost, ...ahead]);
  for (const each of listing.damaged) refuseForOthers(each, request.policy.named);
  const decision = decideRetention(
    {
      now,
      backups,
      proofs: request.proofs,
      held: new Set(holds.flatMap(({ scope }) => (scope === "all" ? [] : [scope]))),
      madeMs: await readMadeMs(vault, options),
      incidentHold: holds.some(({ scope }) => scope === "all"),
      unfinished: listing.unfinished.map((each) => ({ ...each, hasManifest: names.has(backupName(each, "manifest")) })),
      // A proof is nothing new: a vault that is only proven has stopped getting backups.
      storedMs: [...packs, ...wal, ...records.filter(({ name }) => parseProofName(name) === undefined)].map(
        ({ storedMs }) => storedMs,
      ),
    },
    request.policy,
  );
  const erase = eraseList({ decision, listing, records, wal, policy: request.policy, holds });
  const revive = decision.keep.flatMap(({ backup }) => (backup.tombstone === undefined ? [] : [nameOf(backup)]));
  const entombed = decision.remove.flatMap(({ backup, why, stage }) =>
    stage === "tombstone" ? [{ ...nameOf(backup), why }] : [],
  );
  for (const each of [...listing.damaged, ...lost, ...ahead]) {
    if (request.policy.named.has(each.backupId)) entombed.push({ ...nameOf(each), why: "named" });
  }
  const none = { decision, holds, ...NOTHING };
  if (decision.blockedBy !== undefined) return none;
  const mark = await markPacks(vault, { records, listing, erase }, options);
  const halfway = await halfRepaired(vault, listing.unfinished, options);
  const damage = [
    ...unreadableRecords(listing, erase),
    ...halfway.map(unannounced),
    ...lost.flatMap(({ object, reason }) => (halfway.some((each) => each.object === object) ? [] : [reason])),
    ...mark.damaged.map(({ reason }) => reason),
    ...ahead.map(begunAhead),
    ...untoldTimelines({ wal, systems, backups, named: request.policy.named }),
    ...request.unopenedProofs.flatMap(({ reason }) => (opensForOthers(reason) ? [reason] : [])),
  ];
  for (const each of mark.damaged) refuseForOthers(each, request.policy.named);
  // What was named gets its tombstone all the same.
  const held = { ...none, revive, tombstone: entombed.filter(({ why }) => why === "named") };
  if (damage.length > 0) return { ...held, damage };
  const underWay = backupsUnderWay(listing, decision);
  const settledBeforeMs = Math.min(now, ...underWay.map(({ startedMs }) => startedMs)) - SETTLED_MS;
  const settled = packs.filter(({ name, storedMs }) => !mark.named.has(name) && storedMs < settledBeforeMs);
  const recordless = settled.length === 0 ? [] : systemsWithoutRecords({ records, wal, packs: settled });
  if (recordless.length > 0) return { ...held, damage: recordless };
  const storesPacks = settled.length > 0 && underWay.some((each) => !names.has(backupName(each, "manifest")));
  const outlived = storesPacks ? await outlivedPacks(vault, erase, options) : undefined;
  const swept = outlived === undefined ? settled : settled.filter(({ name }) => outlived.has(name));
  const remaining = backups.filter(({ backupId }) => !erase.some((each) => each.backupId === backupId));
  const trimmed = trimWal({ systems, remaining, settledBeforeMs });
  return { ...none, revive, tombstone: entombed, erase, packs: swept.map(objectOf), ...trimmed };
}

type Stored = RemovedObject & { readonly storedMs: number };

async function listObjects(vault: Vault, prefix: string, options: CallOptions): Promise<readonly Stored[]> {
  const objects: Stored[] = [];
  for await (const { key, sizeBytes, storedMs } of vault.store.list(prefix, options)) {
    objects.push({ name: key, sizeBytes, storedMs });
  }
  return objects;
}

function nameOf({ systemId, backupId }: Named): Named {
  return { systemId, backupId };
}

/** The WAL facts of one system of which the vault has backups. */
type SystemWal = {
  readonly walSegmentBytes: number;
  readonly records: readonly BackupRecord[];
  readonly segments: readonly (Stored & { readonly segment: string })[];
  readonly histories: ReadonlyMap<Timeline, TimelineHistory>;
  /** When the newest object of each timeline was stored. */
  readonly storedMs: ReadonlyMap<Timeline, number>;
};

async function readSystems(
  vault: Vault,
  held: { readonly listing: BackupListing; readonly wal: readonly Stored[] },
  options: CallOptions,
): Promise<ReadonlyMap<SystemId, SystemWal>> {
  const { backups, tombstoned } = held.listing;
  const records = [...backups, ...tombstoned.flatMap(({ record }) => (record === undefined ? [] : [record]))];
  const systems = new Map<SystemId, SystemWal>();
  for (const [systemId, own] of Map.groupBy(records, (record) => record.systemId)) {
    const segments: SystemWal["segments"][number][] = [];
    const histories = new Map<Timeline, TimelineHistory>();
    const storedMs = new Map<Timeline, number>();
    for (const object of held.wal) {
      const named = parseWalKey(object.name);
      if (named?.systemId !== systemId) continue;
      const timeline = named.kind === "history" ? named.timeline : timelineOfSegment(named.segment);
      storedMs.set(timeline, Math.max(object.storedMs, storedMs.get(timeline) ?? 0));
      if (named.kind === "segment") segments.push({ ...object, segment: named.segment });
      if (named.kind !== "history") continue;
      const content = await getHistory(vault, named, options);
      if (content !== undefined) histories.set(named.timeline, parseHistory(named.timeline, content));
    }
    // Stored since, with the first backup of its timeline.
    for (const { timeline } of own) {
      if (timeline === 1 || histories.has(timeline)) continue;
      const content = await getHistory(vault, { systemId, timeline }, options);
      if (content !== undefined) histories.set(timeline, parseHistory(timeline, content));
    }
    const walSegmentBytes = own[0]?.walSegmentBytes ?? 0;
    systems.set(systemId, { walSegmentBytes, records: own, segments, histories, storedMs });
  }
  return systems;
}

/**
 * Why nobody knows which backups lead to a timeline: one that seems to lead nowhere may be the only one that leads to the server.
 * Where backups were taken on it, or WAL is held behind the place where a later one left it, that one's history does not tell: it may be what a
 * copy wrote that was promoted once, and the server go on on this one. Those that go because somebody named them wait for none, and of a system without a record nothing goes.
 */
function untoldTimelines(held: {
  readonly wal: readonly Stored[];
  readonly systems: ReadonlyMap<SystemId, SystemWal>;
  readonly backups: readonly RetainedBackup[];
  readonly named: ReadonlySet<BackupId>;
}): readonly LifeboatError[] {
  const { systems } = held;
  const left = new Map<string, Lsn>();
  const names = held.wal.flatMap(({ name }) => {
    const named = parseWalKey(name);
    return named?.kind === "segment" && systems.has(named.systemId) ? [name] : [];
  });
  for (const [systemId, { histories }] of systems) {
    for (const [timeline, history] of histories) {
      names.push(historyKey({ systemId, timeline }));
      noteLeft(left, { systemId, timeline }, history);
    }
  }
  const backups = held.backups.filter((each) => !isNamed(each, held));
  const walSegmentBytes = new Map([...systems].map(([systemId, system]) => [systemId, system.walSegmentBytes]));
  return lostHistories({ names, backups, left, walSegmentBytes }).map(({ reason }) => reason);
}

async function retainedBackups(
  vault: Vault,
  held: { readonly listing: BackupListing; readonly systems: ReadonlyMap<SystemId, SystemWal> },
  options: CallOptions,
): Promise<readonly RetainedBackup[]> {
  const tombstones = new Map(held.listing.tombstoned.map((each) => [each.backupId, each]));
  const backups: RetainedBackup[] = [];
  for (const [systemId, system] of held.systems) {
    const { walSegmentBytes, histories } = system;
    const segments = system.segments.map(({ segment }) => segment);
    const points = recoveryPoints(system.records, { systemId, walSegmentBytes, segments, tails: [], histories });
    const stranded = new Set(points.stranded);
    const reached = new Map(points.ranges.flatMap((range) => range.backups.map((each) => [each, range.timeline])));
    for (const record of system.records) {
      const { backupId, tier, timeline } = record;
      const tombstone = tombstones.get(backupId);
      const reaches = reached.get(record) ?? timeline;
      backups.push({
        systemId,
        backupId,
        tier,
        timeline,
        endedMs: Date.parse(record.endedAt) as Instant,
        startLsn: parseLsn(record.startLsn),
        endLsn: parseLsn(record.endLsn),
        restorable: !stranded.has(record),
        reaches: { timeline: reaches, storedMs: system.storedMs.get(reaches) ?? 0 },
        tombstone:
          tombstone === undefined
            ? undefined
            : { storedMs: tombstone.tombstonedMs, why: await readTombstoneWhy(vault, record, options) },
      });
    }
  }
  return backups;
}

function checkNamed(vault: Vault, named: ReadonlySet<BackupId>, backups: readonly Named[]): void {
  for (const wanted of named) {
    if (backups.some(({ backupId }) => backupId === wanted)) continue;
    throw new LifeboatError("vault.backup-unknown", {
      message: `the vault in ${vault.store.name} has no backup ${wanted}, it has ${backups.length} others`,
      remedy: "List them with `lifeboat backups`.",
    });
  }
}

type DamagedBackup = { readonly backupId: BackupId; readonly reason: LifeboatError };

/** What our secret does not open, or a later version wrote, may be the best backup that others have. */
function refuseForOthers({ backupId, reason }: DamagedBackup, named: ReadonlySet<BackupId>): void {
  if (!named.has(backupId) || !opensForOthers(reason)) return;
  throw new LifeboatError(reason.code, {
    message: `backup ${backupId} is not removed, since it is not damaged: ${reason.message}`,
    remedy: reason.remedy,
    cause: reason,
  });
}

/** The first thing that goes makes it no backup; the tombstone, by which the next prune knows it, goes last. */
const ERASE_ORDER = ["announced", "manifest", "", "started", "tombstone"];

function eraseList(held: {
  readonly decision: RetentionDecision;
  readonly listing: BackupListing;
  readonly records: readonly Stored[];
  readonly wal: readonly Stored[];
  readonly policy: RetentionPolicy;
  readonly holds: readonly Hold[];
}): PrunePlan["erase"] {
  const { decision, listing, holds } = held;
  const { now } = decision;
  if (decision.blockedBy !== undefined) return [];
  const due = decision.remove.filter(({ stage }) => stage === "erase").map(({ backup }) => backup);
  // A damaged record cannot be judged: its tombstone was asked for by name. One that others open is theirs to judge.
  const closed = listing.tombstoned.filter(
    ({ announced, record, reason, tombstonedMs, backupId }) =>
      announced &&
      record === undefined &&
      !(reason !== undefined && opensForOthers(reason)) &&
      now - tombstonedMs >= held.policy.graceMs &&
      !holds.some(({ scope }) => scope === backupId),
  );
  // Its deletion has begun, or it was named while its announcement was lost: then its grace is still to come.
  const begun = listing.tombstoned.filter(
    ({ announced, tombstonedMs, backupId }) =>
      !announced && now - tombstonedMs >= held.policy.graceMs && !holds.some(({ scope }) => scope === backupId),
  );
  const rank = ({ name }: Stored): number => {
    const at = ERASE_ORDER.indexOf(parseBackupName(name)?.part ?? "");
    return at === -1 ? ERASE_ORDER.indexOf("") : at;
  };
  const vouching = lastOfSystems(decision.abandoned, held);
  const abandoned = decision.abandoned.filter(
    (each) => !vouching.has(each) && !holds.some(({ scope }) => scope === each.backupId),
  );
  return [...due, ...closed, ...begun, ...abandoned].map((each) => {
    const prefix = `${BACKUPS_PREFIX}${each.systemId}/${each.backupId}/`;
    const own = held.records.filter(({ name }) => name.startsWith(prefix)).sort((a, b) => rank(a) - rank(b));
    return { ...nameOf(each), objects: own.map(objectOf) };
  });
}

/**
 * The newest abandoned backup of each system that has WAL and no other record. It says that no record was lost: without it no prune could
 * tell a system whose first backup never ended from a copy that is not complete.
 */
function lastOfSystems(
  abandoned: readonly UnfinishedBackup[],
  { records, wal }: { readonly records: readonly Stored[]; readonly wal: readonly Stored[] },
): ReadonlySet<UnfinishedBackup> {
  const left = new Set(abandoned.map(({ backupId }) => String(backupId)));
  const others = new Set(
    records
      .map(({ name }) => name.split("/"))
      .filter(([, , id = ""]) => !left.has(id))
      .map(([, system]) => system),
  );
  const received = new Set(wal.flatMap(({ name }) => parseWalKey(name)?.systemId ?? []));
  const last = new Map(
    abandoned
      .filter(({ systemId }) => received.has(systemId) && !others.has(systemId))
      .toSorted((a, b) => a.startedMs - b.startedMs)
      .map((each) => [each.systemId, each]),
  );
  return new Set(last.values());
}

function objectOf({ name, sizeBytes }: Stored): RemovedObject {
  return { name, sizeBytes };
}

function backupsUnderWay(listing: BackupListing, decision: RetentionDecision): BackupListing["unfinished"] {
  const abandoned = new Set(decision.abandoned.map(({ backupId }) => backupId));
  return listing.unfinished.filter(({ backupId }) => !abandoned.has(backupId));
}

/** The packs that the manifests of erased backups name. One that does not open names none: its packs wait. */
async function outlivedPacks(
  vault: Vault,
  erase: PrunePlan["erase"],
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const outlived = new Set<string>();
  for (const { objects, ...backup } of erase) {
    if (!objects.some(({ name }) => name === backupName(backup, "manifest"))) continue;
    try {
      const { chunks } = await readManifest(vault, backup, {}, options);
      for (const { id } of chunks.packs) outlived.add(packName(id));
    } catch (error) {
      if (!isLifeboatError(error) || !tellsDamage(error)) throw error;
    }
  }
  return outlived;
}

/**
 * The packs that the manifests of all remaining backups name, finished or not. That of an announced backup is read whether
 * it was listed or not: it may be lost, or younger than the listing.
 */
async function markPacks(
  vault: Vault,
  held: {
    readonly records: readonly Stored[];
    readonly listing: BackupListing;
    readonly erase: PrunePlan["erase"];
  },
  options: CallOptions,
): Promise<{ readonly named: ReadonlySet<string>; readonly damaged: readonly DamagedBackup[] }> {
  const erased = new Set(held.erase.map(({ backupId }) => backupId));
  const marked = new Set<string>();
  const damaged: DamagedBackup[] = [];
  for (const backup of manifestsOf(held)) {
    if (erased.has(backup.backupId)) continue;
    try {
      const { chunks } = await readManifest(vault, backup, {}, options);
      for (const pack of chunks.packs) marked.add(packName(pack.id));
    } catch (error) {
      if (!isLifeboatError(error) || !tellsDamage(error)) throw error;
      damaged.push({ backupId: backup.backupId, reason: error });
    }
  }
  return { named: marked, damaged };
}

/** Every backup that has a manifest or must have one, each once. */
function manifestsOf(held: { readonly records: readonly Stored[]; readonly listing: BackupListing }): Iterable<Named> {
  const { backups, tombstoned } = held.listing;
  const found = new Map<string, Named>();
  for (const { name } of held.records) {
    const named = parseBackupName(name);
    if (named?.part === "manifest") found.set(name, named);
  }
  for (const backup of [...backups, ...tombstoned.filter(({ announced }) => announced)]) {
    found.set(backupName(backup, "manifest"), backup);
  }
  return found.values();
}

function tellsDamage({ code }: LifeboatError): boolean {
  return code.startsWith("vault.") || code === "store.object-missing" || code === "store.object-truncated";
}

function unannounced({ backupId }: AbsentAnnouncement): LifeboatError {
  return new LifeboatError("vault.object-damaged", {
    message: `a repair that was cut short, or is under way, has not announced backup ${backupId} again`,
    remedy: "Run `lifeboat vault repair` to its end, then prune again.",
  });
}

/** Which packs are older than a backup that may be under way, and so none of its own, its marker does not tell. */
function begunAhead({ backupId, startedMs }: BackupListing["unfinished"][number]): LifeboatError {
  const remedy = `check the clock; when nobody takes this backup any more, let it go with \`lifeboat prune --remove ${backupId}\``;
  return new LifeboatError("retention.begun-ahead", {
    message: `backup ${backupId} was begun at a time that is still to come, ${formatInstant(startedMs as Instant)}, and may be under way: ${remedy}`,
    remedy: `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`,
  });
}

/** Records that do not open: what WAL and which packs their backups need nobody knows. */
function unreadableRecords(listing: BackupListing, erase: PrunePlan["erase"]): readonly LifeboatError[] {
  const erased = new Set(erase.map(({ backupId }) => backupId));
  const closed = listing.tombstoned.filter(
    ({ announced, record, backupId }) => announced && record === undefined && !erased.has(backupId),
  );
  const reasons = closed.map(({ backupId, reason }) =>
    reason !== undefined && opensForOthers(reason)
      ? reason
      : new LifeboatError("vault.object-damaged", {
          message: `the record of backup ${backupId} does not open; its tombstone stands until its grace is over`,
          remedy: "Prune again when it is.",
        }),
  );
  return [...listing.damaged.map(({ reason }) => reason), ...reasons];
}

/**
 * Nothing names the packs of a system whose records are not there: the vault may be a copy that is still being made. A
 * prune leaves the last backup of every system, so that no system loses its records to one.
 */
function systemsWithoutRecords(held: {
  readonly records: readonly Stored[];
  readonly wal: readonly Stored[];
  readonly packs: readonly Stored[];
}): readonly LifeboatError[] {
  if (held.records.length === 0) {
    const holds = `${held.packs.length} packs that no record names`;
    const remedy = "take a backup where none was ever finished, and prune after that";
    return [recordsMissing({ holds, object: BACKUPS_PREFIX, remedy })];
  }
  const known = new Set(held.records.map(({ name }) => name.split("/")[1]));
  const withWal = new Set(held.wal.flatMap(({ name }) => parseWalKey(name)?.systemId ?? []));
  return [...withWal]
    .filter((systemId) => !known.has(systemId))
    .map((systemId) =>
      recordsMissing({
        holds: `WAL of system ${systemId}`,
        object: `${BACKUPS_PREFIX}${systemId}/`,
        remedy: `take a first backup of the system, or delete ${WAL_PREFIX}${systemId}/ by hand where it is no more`,
      }),
    );
}

function recordsMissing(of: { readonly holds: string; readonly object: string; readonly remedy: string }) {
  const remedy = `copy ${of.object} from another copy of the vault, ${of.remedy}`;
  return new LifeboatError("retention.records-missing", {
    message: `the vault holds ${of.holds}, and nothing is in ${of.object}, as in a copy that is not complete: ${remedy}`,
    remedy: `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`,
    details: { object: of.object },
  });
}

function trimWal(held: {
  readonly systems: ReadonlyMap<SystemId, SystemWal>;
  readonly remaining: readonly RetainedBackup[];
  readonly settledBeforeMs: number;
}): Pick<PrunePlan, "wal" | "walKeepFrom"> {
  const wal: RemovedObject[] = [];
  const walKeepFrom: WalDecision["keepFrom"][number][] = [];
  for (const [systemId, system] of held.systems) {
    const backups = held.remaining.filter((backup) => backup.systemId === systemId);
    const decided = decideWal({ ...system, systemId, backups, settledBeforeMs: held.settledBeforeMs });
    const gone = new Set(decided.remove.map(({ segment }) => segment));
    wal.push(...system.segments.filter(({ segment }) => gone.has(segment)).map(objectOf));
    walKeepFrom.push(...decided.keepFrom);
  }
  return { wal, walKeepFrom };
}
