/**
 * What a node that is down has been, from its data folder alone. Changes nothing.
 *
 * A server notes its timeline in the control file with the first checkpoint on it, which a promotion only asks for: until that is
 * written its newest history and WAL tell, which are there before anything is acknowledged.
 */
import path from "node:path";
import { waitsForOurs } from "../durability/names.ts";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from "../postgres/control-file.ts";
import {
  historyName,
  isHistoryName,
  type Lsn,
  parseSegmentName,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { commitsAlone } from "../postgres/waiting-commits.ts";
import { type LineagePart, lineageOf, parseHistory } from "../wal/history.ts";
import { findEndOfWal, type WalSource } from "../wal/records/reader.ts";
import { nodeDataOf } from "./nodes.ts";
import type { RejoinFacts } from "./rejoin-decision.ts";
import type { CallOptions } from "./tools.ts";

/**
 * Looks; `confirmers` are all that a node may have to wait for. Rejects as reading files does, and with what the control file or the
 * history rejects with that is damaged.
 */
export async function lookAtPast(
  files: Files,
  { folder, confirmers }: { readonly folder: string; readonly confirmers: readonly string[] },
  options: CallOptions,
): Promise<Pick<RejoinFacts, "data" | "node">> {
  const data = await nodeDataOf(files, folder);
  if (data === "absent" || data === "unfinished") return { data, node: undefined };
  const control = parseControlFile(await files.readFile(path.join(folder, CONTROL_FILE_PATH)));
  const wasPrimary = data === "primary" || (await ranAsPrimary(files, folder, control));
  const timeline = await timelineOf(files, folder, { control, wasPrimary });
  const node = {
    systemId: control.systemId,
    timeline,
    walEnd: await walEndOf(files, folder, { control, wasPrimary, timeline }, options),
    lineage: await lineageIn(files, folder, timeline),
    wasPrimary,
    heldBack: await isHeldBack(files, folder, confirmers),
  };
  return { data, node };
}

/** Before it got a standby.signal. A backup's control file is that of its primary. */
async function ranAsPrimary(files: Files, folder: string, { state }: ControlFile): Promise<boolean> {
  if (state !== "in production" && state !== "shut down" && state !== "shutting down") return false;
  return (await files.stat(path.join(folder, "backup_label"))) === undefined;
}

async function timelineOf(
  files: Files,
  folder: string,
  { control, wasPrimary }: { readonly control: ControlFile; readonly wasPrimary: boolean },
): Promise<Timeline> {
  const { checkpoint, minRecovery } = control;
  // A standby fetches histories that it has not come to yet.
  if (!wasPrimary) return minRecovery.timeline ?? checkpoint.timeline;
  const names = (await files.list(path.join(folder, "pg_wal"))).map(({ name }) => name);
  const isOurs = (name: string): boolean =>
    isHistoryName(name) || parseSegmentName(name, control.walSegmentBytes) !== undefined;
  return Math.max(checkpoint.timeline, ...names.filter(isOurs).map(timelineOfSegment)) as Timeline;
}

async function lineageIn(
  files: Files,
  folder: string,
  timeline: Timeline,
): Promise<readonly LineagePart[] | undefined> {
  if (timeline === 1) return lineageOf(timeline, []);
  const content = await readIfThere(files, path.join(folder, "pg_wal", historyName(timeline)));
  return content === undefined ? undefined : lineageOf(timeline, parseHistory(timeline, content));
}

/**
 * Whether its commits waited for these, who follow somebody else. Read where a server reads it too: what was set while it ran wins over
 * its configuration, and the last mention counts.
 */
async function isHeldBack(files: Files, folder: string, confirmers: readonly string[]): Promise<boolean> {
  const read = async (name: string): Promise<string> =>
    (await readIfThere(files, path.join(folder, name)))?.toString("utf8") ?? "";
  const whileItRan = await read("postgresql.auto.conf");
  const names = lastMention(whileItRan, "synchronous_standby_names") ?? "";
  if (waitsForOurs(names, confirmers) === undefined) return false;
  const settings = `${await read("postgresql.conf")}\n${whileItRan}`;
  return !commitsAlone(lastMention(settings, "synchronous_commit") ?? "on");
}

/** What a configuration says last of a setting; undefined where it says nothing. */
function lastMention(text: string, setting: string): string | undefined {
  const mentions = new RegExp(`^[ \\t]*${setting}\\b[ \\t]*=?[ \\t]*(?:'((?:[^'\\n]|'')*)'|(\\w+))`, "gim");
  const last = [...text.matchAll(mentions)].at(-1);
  return last?.[1]?.replaceAll("''", "'") ?? last?.[2];
}

/** Where valid WAL ends, for a node that ended in an orderly way; a crash leaves pages of which its WAL need not tell. */
async function walEndOf(
  files: Files,
  folder: string,
  {
    control,
    wasPrimary,
    timeline,
  }: { readonly control: ControlFile; readonly wasPrimary: boolean; readonly timeline: Timeline },
  options: CallOptions,
): Promise<Lsn | undefined> {
  const { walSegmentBytes, checkpoint, state } = control;
  if (wasPrimary && state !== "shut down") return undefined;
  const source: WalSource = {
    walSegmentBytes,
    timelineAt: () => timeline,
    readSegment: (name) => readIfThere(files, path.join(folder, "pg_wal", name)),
  };
  const end = await findEndOfWal(source, { from: wasPrimary ? checkpoint.lsn : checkpoint.redoLsn }, options);
  return end.last?.end;
}
