/**
 * WAL in the vault: complete segments and timeline histories, each a blob under its own name.
 *
 * Invariants: a segment is stored once; storing the same bytes again is harmless, other bytes under the same name are
 * refused (two servers claim one history); "absent" is only ever said of what the store proves absent.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import type { PutOptions } from "../store/store.ts";
import { BACKUPS_PREFIX, historyKey, parseWalKey, segmentKey, timelinePrefix, WAL_PREFIX } from "./names.ts";
import { getBlob, type IntoOptions, putBlob, type Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A complete segment under PostgreSQL's file name. */
export type NamedSegment = { readonly systemId: SystemId; readonly segment: string };

/** What the vault holds of one system's WAL. Names are PostgreSQL's file names, sorted. */
export type WalListing = { readonly segments: readonly string[]; readonly histories: readonly Timeline[] };

/** Stores a complete segment. Throws `wal.segment-conflict` when other bytes lie under this name. */
export async function putSegment(
  vault: Vault,
  segment: NamedSegment & { readonly bytes: Buffer },
  options: PutOptions,
): Promise<"stored" | "held"> {
  const name = segmentKey(segment);
  return putOnce(vault, { name, plain: segment.bytes, what: `segment ${segment.segment}` }, options);
}

/** A complete segment's bytes; undefined only when it is proven absent. Throws when that cannot be told or it is damaged. */
export function getSegment(
  vault: Vault,
  segment: NamedSegment,
  options: CallOptions & IntoOptions,
): Promise<Buffer | undefined> {
  return getIfPresent(vault, segmentKey(segment), options);
}

/** Stores the history file of a timeline. Throws `wal.segment-conflict` when another history lies there. */
export async function putHistory(
  vault: Vault,
  history: { readonly systemId: SystemId; readonly timeline: Timeline; readonly content: Buffer },
  options: CallOptions,
): Promise<"stored" | "held"> {
  const what = `the history of timeline ${history.timeline}`;
  return putOnce(vault, { name: historyKey(history), plain: history.content, what }, options);
}

/** The history file of a timeline; undefined only when it is proven absent. */
export function getHistory(
  vault: Vault,
  history: { readonly systemId: SystemId; readonly timeline: Timeline },
  options: CallOptions,
): Promise<Buffer | undefined> {
  return getIfPresent(vault, historyKey(history), options);
}

/** What the vault holds of one system's WAL; of one timeline where that is given. */
export async function listWal(
  vault: Vault,
  of: { readonly systemId: SystemId; readonly timeline?: Timeline },
  options: CallOptions,
): Promise<WalListing> {
  const segments: string[] = [];
  const histories: Timeline[] = [];
  const prefix =
    of.timeline === undefined
      ? `${WAL_PREFIX}${of.systemId}/`
      : timelinePrefix({ systemId: of.systemId, timeline: of.timeline });
  for await (const facts of vault.store.list(prefix, options)) {
    const named = parseWalKey(facts.key);
    if (named?.kind === "segment") segments.push(named.segment);
    if (named?.kind === "history") histories.push(named.timeline);
  }
  return { segments: segments.sort(), histories: histories.sort((a, b) => a - b) };
}

/** Whether the vault holds a backup or WAL of a system. Looks no further than the first object: asked once for each segment. */
export async function hasSystem(vault: Vault, systemId: SystemId, options: CallOptions): Promise<boolean> {
  for (const prefix of [BACKUPS_PREFIX, WAL_PREFIX]) {
    for await (const _ of vault.store.list(`${prefix}${systemId}/`, options)) return true;
  }
  return false;
}

/** Every system whose WAL or backups the vault holds. */
export async function listSystems(vault: Vault, options: CallOptions): Promise<readonly SystemId[]> {
  const systems = new Set<SystemId>();
  for (const prefix of [WAL_PREFIX, BACKUPS_PREFIX]) {
    for await (const facts of vault.store.list(prefix, options)) {
      const digits = /^(?:wal|backups)\/(\d{1,20})\//.exec(facts.key)?.[1];
      if (digits !== undefined) systems.add(digits as SystemId);
    }
  }
  return [...systems].sort();
}

async function putOnce(
  vault: Vault,
  object: { readonly name: string; readonly plain: Buffer; readonly what: string },
  options: PutOptions,
): Promise<"stored" | "held"> {
  try {
    await putBlob(vault, object, options);
    return "stored";
  } catch (error) {
    if (!isLifeboatError(error, "store.object-exists")) throw error;
  }
  const held = await getBlob(vault, object.name, options);
  if (held.equals(object.plain)) return "held";
  throw new LifeboatError("wal.segment-conflict", {
    message: `${object.what} is already in the vault with other content: ${held.byteLength} bytes held, ${object.plain.byteLength} bytes offered`,
    remedy:
      "Two servers claim the same history: find out which one is the real one, and give the other a vault of its own.",
    details: { object: object.name },
  });
}

async function getIfPresent(
  vault: Vault,
  name: string,
  options: CallOptions & IntoOptions,
): Promise<Buffer | undefined> {
  try {
    return await getBlob(vault, name, options);
  } catch (error) {
    if (isLifeboatError(error, "store.object-missing")) return undefined;
    throw error;
  }
}
