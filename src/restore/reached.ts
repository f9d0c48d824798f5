/**
 * Where a restored server's recovery ended, seen from outside without logging in.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { historyName, isHistoryName, LSN_NONE, type Lsn, type Timeline } from "../postgres/lsn.ts";
import { parseHistory } from "../wal/history.ts";

/** There until a server begins recovery: it is renamed once the control file says so. */
const BACKUP_LABEL_PATH = "backup_label";

/** Whether the server in a data directory has left recovery; false before its first start. */
export async function hasRecovered(files: Files, dataFolder: string): Promise<boolean> {
  // Before that the control file is the one of the server that was backed up, which was in production. Looked for first: it goes last.
  if ((await files.stat(path.join(dataFolder, BACKUP_LABEL_PATH))) !== undefined) return false;
  const bytes = await files.readFile(path.join(dataFolder, CONTROL_FILE_PATH));
  try {
    return parseControlFile(bytes).state === "in production";
  } catch (error) {
    // The server may be writing it at this moment, and a reader sees half of it: the next look is a better one.
    if (isLifeboatError(error, "postgres.control-file-damaged")) return false;
    throw error;
  }
}

/** The timeline that a recovered server began, and where. */
export async function readReached(
  files: Files,
  dataFolder: string,
): Promise<{ readonly timeline: Timeline; readonly lsn: Lsn }> {
  const folder = path.join(dataFolder, "pg_wal");
  const names = (await files.list(folder)).map((entry) => entry.name).filter(isHistoryName);
  const newest = Number.parseInt(names.at(-1)?.slice(0, 8) ?? "", 16) as Timeline;
  const history = parseHistory(newest, await files.readFile(path.join(folder, historyName(newest))));
  return { timeline: newest, lsn: history.at(-1)?.switchLsn ?? LSN_NONE };
}
