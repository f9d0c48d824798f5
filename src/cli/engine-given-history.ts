/** What `vault repair --history` is given: whose it is, and whether it can be that. */
import path from "node:path";
import type { Config } from "../config/schema.ts";
import { LifeboatError } from "../errors/error.ts";
import { historyName, isHistoryName, type SystemId, type Timeline, timelineOfSegment } from "../postgres/lsn.ts";
import { listBackups } from "../vault/backups.ts";
import type { SpooledWal } from "../vault/repair.ts";
import { unlessLost } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { getHistory, getSegment, listSystems, listWal } from "../vault/wal-store.ts";
import { contradictionOf, firstSegmentOf, isSameHistory } from "../wal/given-history.ts";
import { parseHistory } from "../wal/history.ts";
import { isClosed, readHoldingsPastDamage } from "../wal/holdings.ts";
import { historyOfBackups } from "../wal/told-by-backups.ts";
import { MACHINE } from "./engine-machine.ts";
import { chooseSystem, segmentBytesOf } from "./engine-system.ts";
import { usageError } from "./failure.ts";

type CallOptions = { readonly signal: AbortSignal };

type Lost = { readonly systemId: SystemId; readonly timeline: Timeline };

/** A history for a timeline whose own is lost. */
export type LostHistory = Lost & { readonly content: Buffer };

/**
 * What the operator has of a history. Throws `wal.history-damaged` when it is none, `vault.history-contradicted` when it cannot be that
 * of the timeline, and `vault.system-unclear` when several systems lack one of it.
 */
export async function givenHistory(
  { vault, config, spool }: { readonly vault: Vault; readonly config: Config; readonly spool: SpooledWal },
  { file, system }: { readonly file: string; readonly system: string | undefined },
  options: CallOptions,
): Promise<LostHistory> {
  const name = path.basename(file);
  if (!isHistoryName(name)) {
    throw usageError(`${file} has not the name of a history`, "Give it as it lies in pg_wal: 00000002.history.");
  }
  const timeline = timelineOfSegment(name);
  const content = await MACHINE.files.readFile(file);
  const history = parseHistory(timeline, content);
  const lost = { systemId: await systemOf(vault, { wanted: system, timeline }, options), timeline };
  // Who has it knows, and a check compares the text too.
  const known = (await historyOfBackups(vault, lost, options)) ?? (await spool({ kind: "history", ...lost }));
  const contradiction =
    known === undefined || isSameHistory(history, parseHistory(timeline, known))
      ? await contradictionIn(vault, config, { ...lost, history }, options)
      : "a backup of that timeline, or the receiver's spool, has another one";
  if (contradiction === undefined) return { ...lost, content: known ?? content };
  throw new LifeboatError("vault.history-contradicted", {
    message: `${file} is not the history of timeline ${timeline} of system ${lost.systemId} that the vault has lost: ${contradiction}`,
    remedy:
      "Take the file from pg_wal of a server that this vault protects, not from a restored copy that was started: its timelines have the same numbers.",
    details: { timeline },
  });
}

/** Why nothing was done with it. */
export async function unusedHistory(
  vault: Vault,
  { content, ...lost }: LostHistory,
  options: CallOptions,
): Promise<string> {
  const name = historyName(lost.timeline);
  const held = await getHistory(vault, lost, options).catch(unlessLost);
  const whose = `timeline ${lost.timeline} of system ${lost.systemId}`;
  if (held === undefined && (await listWal(vault, lost, options)).segments.length > 0) {
    return `${name} was not used: a check does not miss it, since a later history tells where ${whose} was left, and no WAL that is held of it lies behind that`;
  }
  if (held === undefined) return `${name} was not used: the vault has no WAL of ${whose}`;
  const isSame = isSameHistory(parseHistory(lost.timeline, held), parseHistory(lost.timeline, content));
  return `${name} was not used: the vault has ${isSame ? "the" : "another"} history of ${whose}, and it opens`;
}

/** The system that was named, else the only one that lacks the history of this timeline. */
async function systemOf(
  vault: Vault,
  { wanted, timeline }: { readonly wanted: string | undefined; readonly timeline: Timeline },
  options: CallOptions,
): Promise<SystemId> {
  if (wanted !== undefined) return await chooseSystem(vault, wanted, options);
  const lacking: SystemId[] = [];
  for (const systemId of await listSystems(vault, options)) {
    if (await isLost(vault, { systemId, timeline }, options)) lacking.push(systemId);
  }
  const [only, second] = lacking;
  return only !== undefined && second === undefined ? only : await chooseSystem(vault, undefined, options);
}

async function isLost(vault: Vault, lost: Lost, options: CallOptions): Promise<boolean> {
  try {
    const content = await getHistory(vault, lost, options);
    if (content !== undefined) return false;
    return (await listWal(vault, lost, options)).segments.length > 0;
  } catch (error) {
    if (!isClosed(error)) throw error;
    return true;
  }
}

async function contradictionIn(
  vault: Vault,
  config: Config,
  given: Lost & { readonly history: ReturnType<typeof parseHistory> },
  options: CallOptions,
): Promise<string | undefined> {
  const { systemId, timeline } = given;
  const listing = await listBackups(vault, { systemId }, options);
  const walSegmentBytes = await segmentBytesOf(listing, config, systemId);
  // Without a backup nothing is restored by it, and nothing pruned.
  if (walSegmentBytes === undefined) return undefined;
  const holdings = await readHoldingsPastDamage({ vault, files: MACHINE.files, systemId }, walSegmentBytes, options);
  const segment = firstSegmentOf(holdings.segments, timeline);
  const first = segment && (await getSegment(vault, { systemId, segment }, options).catch(unlessLost));
  return contradictionOf(given, { holdings, backups: listing.backups, first: first || undefined });
}
