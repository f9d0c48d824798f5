/**
 * Restores again and again into one folder, each time with another write of a thread failing, until none is left to fail:
 * `node --import failing-thread-writes.ts thread-writes-process.ts FOLDER STRIDE`. Says of each restore on a line what came of it.
 */
import path from "node:path";
import { isLifeboatError } from "../../src/errors/error.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { FAILURES, planThreadWrites, type ThreadWriteFailure, threadWrites } from "./failing-thread-writes.ts";
import {
  differencesFrom,
  restoreSmall,
  serverWithLargeFile,
  smallCouldStart,
  takeSmallBackup,
} from "./small-restores.ts";
import { createTestVault } from "./vaults.ts";

/** What came of a restore. */
export type ThreadWriteTry = {
  readonly failure: ThreadWriteFailure;
  readonly at: number;
  /** Writes of threads, the failed one too. */
  readonly writes: number;
  /** Undefined: it went through. */
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  readonly couldStart: boolean;
  /** Files that are not as they were backed up; of one that went through. */
  readonly differences?: readonly string[];
};

/** 34 MiB: more than is opened before threads are started. */
const PAGES = 34 * 128;
/** Where each begins: with a stride the one fails early, the other late. */
const FIRST = { ENOSPC: 1, EIO: 60, short: 120, halves: 1 } as const;

const [folder = "", stride = "1"] = process.argv.slice(2);
const place = { folder: path.join(folder, "restored"), under: path.join(folder, "tablespaces") };
const server = serverWithLargeFile(PAGES, () => true);
const vault = await createTestVault();
const backup = await takeSmallBackup(vault, server);

async function tryRestore(at: number, failure: ThreadWriteFailure): Promise<ThreadWriteTry> {
  planThreadWrites(at, failure);
  const error = await restoreSmall({ vault, backup }, systemFiles, "whole", place).then(
    () => undefined,
    (thrown: unknown) => {
      if (!isLifeboatError(thrown)) throw thrown;
      return { code: thrown.code, message: thrown.message, remedy: thrown.remedy };
    },
  );
  const tried = { failure, at, writes: threadWrites(), couldStart: await smallCouldStart(systemFiles, place) };
  if (error !== undefined) return { ...tried, error };
  const differences = await differencesFrom(server, systemFiles, place);
  for (const each of [place.folder, place.under]) await systemFiles.removeTree(each);
  return { ...tried, differences };
}

for (const failure of FAILURES) {
  for (let at = Math.min(FIRST[failure], Number(stride)); ; at += Number(stride)) {
    const tried = await tryRestore(at, failure);
    process.stdout.write(`${JSON.stringify(tried)}\n`);
    if (tried.error === undefined) break;
  }
}
