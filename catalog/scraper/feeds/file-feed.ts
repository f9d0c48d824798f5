/**
 * Feeds that lie in a folder of this machine, where merchants' uploads are put.
 */
import path from "node:path";
import { isLifeboatError } from "../../../src/errors/error.ts";
import { throwIfAborted } from "../../../src/platform/clock.ts";
import type { Files } from "../../../src/platform/files.ts";
import { feedError } from "./feed-error.ts";
import { expanded, type FetchedFeed, type Validators } from "./fetched.ts";

/** Where a file feed is. */
export type FileFeed = {
  /** Below this folder and nowhere else. */
  readonly folder: string;
  /** `file:` and a path from the folder. */
  readonly location: string;
  readonly known: Validators;
  readonly bytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** Large enough that a feed of some MB is a hundred reads. */
const READ_BYTES = 64 * 1024;

/**
 * Gets a feed from a file: unchanged while size and time of the file are. Rejects with `feed.place-wrong` and
 * `feed.not-found`; reading on may reject with `feed.too-large`, `feed.compression-broken` and `platform.aborted`.
 */
export async function fetchFile(files: Files, feed: FileFeed): Promise<FetchedFeed> {
  const file = placeOf(feed);
  const facts = await files.stat(file);
  if (facts?.kind !== "file") throw feedError("feed.not-found", `there is no file ${file}`);
  const etag = `"${facts.sizeBytes}-${facts.modifiedMs}"`;
  if (feed.known.etag === etag) return { kind: "unchanged" };
  return {
    kind: "changed",
    validators: { etag },
    chunks: expanded(read(files, file, feed.signal), { bytesMax: feed.bytesMax }),
    endIsTold: () => true,
  };
}

/** The file of a location. Raises `feed.place-wrong` for one outside the folder. */
function placeOf({ folder, location }: Pick<FileFeed, "folder" | "location">): string {
  const name = location.replace(/^file:/, "");
  const file = path.resolve(folder, name);
  const inside = path.relative(folder, file);
  if (name === "" || name.includes("\0") || inside === "" || inside.startsWith("..") || path.isAbsolute(inside)) {
    throw feedError("feed.place-wrong", `${location} is not in the folder of feeds ${folder}`);
  }
  return file;
}

async function* read(files: Files, file: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const handle = await files.open(file, "read").catch((cause: unknown) => {
    if (!isLifeboatError(cause, "platform.file-missing")) throw cause;
    throw feedError("feed.not-found", `there is no file ${file}`, { cause });
  });
  try {
    for (let position = 0; ; ) {
      throwIfAborted(signal, `reading ${file}`);
      const bytes = await handle.read({ position, length: READ_BYTES });
      if (bytes.byteLength === 0) return;
      position += bytes.byteLength;
      yield bytes;
    }
  } finally {
    await handle.close();
  }
}
