/**
 * Feeds WAL to a server that recovers: hands segments over through a spool in its data directory, a few at a time.
 *
 * Nouns: the *feed* are the segments that a restore left to be fed, in order; the *window* are those that may lie in the
 * spool: the one the server waits for, else the next one, and what follows it.
 * Invariants: the spool never holds more than FEED_WINDOW segments; every segment is checked before it is handed over, also for
 * tablespaces (wal-tablespaces.ts); one
 * that is waited for and cannot be had is told to the server, which stops its recovery there, and rejects here. The
 * server never asks the vault and needs no secret. Nothing is kept of what was fed: a server that begins again asks again.
 * The server's side is the script in recovery-files.ts.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Clock, throwIfAborted } from "../platform/clock.ts";
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import {
  type Lsn,
  parseLsn,
  parseSegmentName,
  type SystemId,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { type CreatedTablespace, tablespacesIn } from "../wal/records/tablespaces.ts";
import type { Owner } from "./file-set.ts";
import { makeOwnedFolder } from "./owned-folder.ts";
import type { RestorePlan } from "./plan.ts";
import { fetchPlanned } from "./planned-wal.ts";
import { hasRecovered, readReached } from "./reached.ts";
import { FED_LIST, FEED_SPOOL, RECOVERY_FOLDER, REPLAYED_FILE } from "./recovery-files.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { admitTablespace, ownByLinks } from "./wal-tablespaces.ts";

/** Segments in the spool at a time: 128 MiB of the usual size, and enough to be ahead of replay, which is one process. */
export const FEED_WINDOW = 8;

/** How often the server's wish is looked for: a segment of 16 MiB is replayed in a fifth of a second at best. */
const LOOK_INTERVAL_MS = 20;

/** How often the server is shown that somebody feeds; it gives up after a minute without. */
const BEAT_INTERVAL_MS = 1000;

/** A store that takes longer for one segment does not answer, and recovery stops rather than wait for ever. */
const FETCH_TIMEOUT_MS = 600_000;

const FEED_LOCK = `${RECOVERY_FOLDER}/feed.lock`;

/** A restored folder and what is fed to it. */
export type Feed = {
  readonly dataFolder: string;
  readonly systemId: SystemId;
  readonly walSegmentBytes: number;
  readonly segments: readonly string[];
  /** Who runs the server. */
  readonly owner: Owner | undefined;
  /** Whether recovery comes to a record; undefined where it is not known where it stops, and may come to each. */
  readonly replays?: ((record: Pick<CreatedTablespace, "lsn">) => boolean) | undefined;
};

export type FeederTools = {
  readonly files: Files;
  readonly clock: Clock;
  readonly locks: Locks;
  readonly wal: RestoreWal;
  /** Called with the number of segments that the server has taken or passed over. */
  readonly onSegment?: ((doneCount: number) => void) | undefined;
  /** Shown each segment that is handed over, as often as it is. */
  readonly onPassing?: ((segment: { readonly start: Lsn; readonly bytes: Buffer }) => void) | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Reads what a restored folder is to be fed. Throws `restore.nothing-to-feed`. */
export async function readFeed(files: Files, dataFolder: string): Promise<Feed> {
  const list = path.join(dataFolder, FED_LIST);
  const nothing = (why: string): LifeboatError =>
    new LifeboatError("restore.nothing-to-feed", {
      message: `${dataFolder} needs no WAL fed: ${why}`,
      remedy: "Name the folder of a restore whose recovery has not ended.",
    });
  const facts = await files.stat(list);
  if (facts === undefined) throw nothing("no restore by Lifeboat is under way in it");
  if (await hasRecovered(files, dataFolder)) throw nothing("its recovery has ended");
  const { systemId, walSegmentBytes } = parseControlFile(
    await files.readFile(path.join(dataFolder, CONTROL_FILE_PATH)),
  );
  const segments = (await files.readFile(list)).toString("utf8").split("\n").filter(Boolean);
  if (segments.length === 0) throw nothing("all of it was laid when it was restored");
  const owner = { uid: facts.uid, gid: facts.gid };
  return { dataFolder, systemId, walSegmentBytes, segments, owner, replays: await readReplays(files, dataFolder) };
}

/** What the restore planned to replay. Undefined where it does not say: then any record of the WAL may be. */
async function readReplays(files: Files, dataFolder: string): Promise<Feed["replays"]> {
  const text = (await readIfThere(files, path.join(dataFolder, REPLAYED_FILE)))?.toString("utf8") ?? "";
  const [, first, last] = /^([0-9A-F]{1,8}\/[0-9A-F]{1,8})\n([0-9A-F]{1,8}\/[0-9A-F]{1,8})\n$/.exec(text) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const [from, to] = [parseLsn(first), parseLsn(last)];
  return ({ lsn }) => lsn >= from && lsn < to;
}

/**
 * Feeds until the signal stops it; then the spool is empty again. Rejects with what a segment that is waited for could
 * not be had for, with `restore.feed-busy` when somebody else feeds this folder, and with `platform.aborted`.
 */
export async function feedWal(tools: FeederTools, feed: Feed, options: CallOptions): Promise<never> {
  const feeder = new Feeder(tools, feed);
  const lock = await feeder.open();
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  const beating = feeder.beat(signal).catch((error: unknown) => {
    // When it fails the server gives up after a minute; feeding goes on as long as it can, and fails by itself.
    if (!isLifeboatError(error)) throw error;
  });
  try {
    return await feeder.serve(options);
  } finally {
    ending.abort();
    await beating;
    await feeder.close();
    lock.release();
  }
}

/** How often the restored server is looked at: nobody waits for the answer. */
const RECOVERY_LOOK_INTERVAL_MS = 200;

/**
 * Feeds until the server has left recovery, whoever starts it and when; then nothing of the feed is left. Rejects as
 * `feedWal` does.
 */
export async function feedUntilRecovered(
  tools: FeederTools,
  feed: Feed,
  options: CallOptions,
): Promise<{ readonly timeline: Timeline; readonly lsn: Lsn }> {
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  let failure: { readonly cause: unknown } | undefined;
  const feeding = feedWal(tools, feed, { signal }).catch((cause: unknown) => {
    failure = { cause };
  });
  try {
    while (!(await hasRecovered(tools.files, feed.dataFolder))) {
      if (failure !== undefined) throw failure.cause;
      await tools.clock.sleep(RECOVERY_LOOK_INTERVAL_MS, options);
    }
  } finally {
    ending.abort();
    await feeding;
  }
  await removeFeed(tools.files, feed.dataFolder);
  return readReached(tools.files, feed.dataFolder);
}

class Feeder {
  readonly #tools: FeederTools;
  readonly #feed: Feed;
  readonly #spool: string;
  readonly #index: ReadonlyMap<string, number>;
  readonly #timelines: ReadonlyMap<Lsn, Timeline>;
  /** Index of the segment to be waited for next, as far as is known. */
  #next = 0;
  /** A segment ahead of the server's wish that could not be had; tried again when it is waited for. */
  #postponed: string | undefined;

  constructor(tools: FeederTools, feed: Feed) {
    this.#tools = tools;
    this.#feed = feed;
    this.#spool = path.join(feed.dataFolder, FEED_SPOOL);
    this.#index = new Map(feed.segments.map((name, index) => [name, index]));
    const starts = feed.segments.flatMap((name) => parseSegmentName(name, feed.walSegmentBytes) ?? []);
    this.#timelines = new Map(starts.map(({ start, timeline }) => [start, timeline]));
  }

  /** Makes the spool, empty: a wish may be one of a server that was killed, and one that waits asks again. */
  async open(): Promise<Lock> {
    const { files, locks } = this.#tools;
    const lock = locks.tryAcquire(path.join(this.#feed.dataFolder, FEED_LOCK));
    if (lock === undefined) {
      throw new LifeboatError("restore.feed-busy", {
        message: `another process feeds WAL to ${this.#feed.dataFolder}`,
        remedy: "Let it go on, or stop it first.",
      });
    }
    try {
      await files.makeFolder(this.#spool, 0o700);
      if (this.#feed.owner !== undefined) await files.changeOwner(this.#spool, this.#feed.owner);
      // But a wish that is just being written down.
      await this.#clear((name) => name === "want.new");
    } catch (error) {
      lock.release();
      throw error;
    }
    return lock;
  }

  /** Takes segments away that nobody will fetch any more; why one failed stays to be read. */
  async close(): Promise<void> {
    await this.#clear((name) => name.startsWith("want") || name.endsWith(".failed"));
  }

  /** Shows the server that somebody feeds. */
  async beat(signal: AbortSignal): Promise<void> {
    const { clock, files } = this.#tools;
    for (let count = 1; !signal.aborted; count += 1) {
      const bytes = Buffer.from(`${clock.now()} ${count}\n`);
      await replaceVolatile(files, { file: path.join(this.#spool, "feeder"), bytes, unique: "lifeboat" });
      await clock.sleep(BEAT_INTERVAL_MS, { signal });
    }
  }

  async serve(options: CallOptions): Promise<never> {
    for (;;) {
      throwIfAborted(options.signal, "feeding WAL");
      const wanted = await this.#readWish();
      const missing = await this.#slide(wanted);
      if (missing === undefined || (missing !== wanted && missing === this.#postponed)) {
        await this.#tools.clock.sleep(LOOK_INTERVAL_MS, options);
      } else if (missing === wanted) {
        await this.#provide(missing, options);
      } else {
        await this.#provideEarly(missing, options);
      }
    }
  }

  /** The segment that the server waits for. */
  async #readWish(): Promise<string | undefined> {
    try {
      const name = (await this.#tools.files.readFile(path.join(this.#spool, "want"))).toString("utf8").trim();
      return this.#index.has(name) ? name : undefined;
    } catch (error) {
      if (isLifeboatError(error, "platform.file-missing")) return undefined;
      throw error;
    }
  }

  /** Moves the window to the wish and takes away what lies outside; returns the first segment that is not there. */
  async #slide(wanted: string | undefined): Promise<string | undefined> {
    const at = wanted === undefined ? undefined : this.#index.get(wanted);
    const before = this.#next;
    if (at !== undefined) this.#next = at;
    const present = new Set((await this.#tools.files.list(this.#spool)).map(({ name }) => name));
    // Taken since the wish was read: the server goes on to the one behind it.
    if (wanted === undefined && this.#waitedFor !== undefined) this.#next = this.#waitedFor + 1;
    this.#waitedFor = at;
    if (this.#next !== before) this.#tools.onSegment?.(this.#next);
    const window = this.#feed.segments.slice(this.#next, this.#next + FEED_WINDOW);
    for (const name of present) {
      if (this.#index.has(name) && !window.includes(name)) await this.#tools.files.remove(path.join(this.#spool, name));
    }
    return window.find((name) => !present.has(name));
  }

  /** Index of the segment that was waited for at the last look. */
  #waitedFor: number | undefined;

  async #provide(segment: string, options: CallOptions): Promise<void> {
    try {
      await this.#put(segment, await this.#fetch(segment, options));
    } catch (error) {
      if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
      await this.#put(`${segment}.failed`, Buffer.from(`${error.message} (${error.code})\n`));
      throw error;
    }
  }

  async #provideEarly(segment: string, options: CallOptions): Promise<void> {
    try {
      await this.#put(segment, await this.#fetch(segment, options));
      this.#postponed = undefined;
    } catch (error) {
      if (!isLifeboatError(error) || error.kind === "bug" || error.code === "platform.aborted") throw error;
      // Nobody waits for it yet. When the server does, it is fetched again, and a second failure ends the feed.
      this.#postponed = segment;
    }
  }

  async #fetch(name: string, options: CallOptions): Promise<Buffer> {
    const { wal, clock } = this.#tools;
    const { systemId, walSegmentBytes } = this.#feed;
    const start = parseSegmentName(name, walSegmentBytes)?.start;
    if (start === undefined) {
      throw new LifeboatError("wal.bad-name", {
        message: `"${name}" in ${this.#feed.dataFolder}/${FED_LIST} is not the name of a segment`,
        remedy: "Restore again into an empty folder.",
      });
    }
    const ending = new AbortController();
    const late = clock.sleep(FETCH_TIMEOUT_MS, { signal: ending.signal }).then(() => {
      throw new LifeboatError("store.failed", {
        message: `segment ${name} was not answered for within ${FETCH_TIMEOUT_MS} ms`,
        remedy: "See whether the vault's store answers, then start the server and the feed again.",
        retryable: true,
      });
    });
    try {
      const segment = { name, start, validBytes: walSegmentBytes };
      const fetching = fetchPlanned(wal, { systemId, walSegmentBytes }, segment, options);
      const bytes = await Promise.race([fetching, late]);
      await Promise.race([this.#admitTablespaces({ ...segment, bytes }, options), late]);
      this.#tools.onPassing?.({ start, bytes });
      return bytes;
    } finally {
      ending.abort();
      await late.catch(() => undefined);
    }
  }

  /** Throws `restore.tablespace-in-wal`. */
  async #admitTablespaces(
    segment: { readonly name: string; readonly start: Lsn; readonly bytes: Buffer },
    options: CallOptions,
  ): Promise<void> {
    const { files, wal } = this.#tools;
    const { walSegmentBytes, dataFolder, owner, replays } = this.#feed;
    const timeline = timelineOfSegment(segment.name);
    const source = {
      walSegmentBytes,
      timelineAt: (start: Lsn) => (start === segment.start ? timeline : (this.#timelines.get(start) ?? timeline)),
      readSegment: (name: string) => wal.segment(name, options),
    };
    const make = (folder: string): Promise<void> => makeOwnedFolder(files, folder, owner);
    const own = ownByLinks(files, dataFolder);
    for (const created of await tablespacesIn(source, segment, options)) {
      if (replays?.(created) ?? true) await admitTablespace(files, created, { make, own });
    }
  }

  async #put(name: string, bytes: Buffer): Promise<void> {
    const file = path.join(this.#spool, name);
    const { owner } = this.#feed;
    await replaceVolatile(this.#tools.files, { file, bytes, unique: "lifeboat", permissions: 0o600, owner });
  }

  async #clear(keeps: (name: string) => boolean): Promise<void> {
    for (const { name } of await this.#tools.files.list(this.#spool)) {
      if (!keeps(name)) await this.#tools.files.remove(path.join(this.#spool, name));
    }
  }
}

/** Removes what a feed left in a folder whose recovery has ended. */
export async function removeFeed(files: Files, dataFolder: string): Promise<void> {
  await files.removeTree(path.join(dataFolder, FEED_SPOOL));
  await files.remove(path.join(dataFolder, FEED_LOCK));
}

/**
 * WAL that the server itself keeps of what it is fed: it lets go of segments at restartpoints, which come with the
 * checkpoints of the WAL and when max_wal_size is replayed. Twice the default of that setting.
 */
const KEPT_BY_SERVER_BYTES = 2 * 1024 ** 3;

/** Room that feeding takes in the data directory at the most, as far as one can tell beforehand. */
export function fedDiskBytes(plan: Pick<RestorePlan, "fed" | "walSegmentBytes">): number {
  const fedBytes = plan.fed.length * plan.walSegmentBytes;
  return Math.min(fedBytes, FEED_WINDOW * plan.walSegmentBytes + KEPT_BY_SERVER_BYTES);
}
