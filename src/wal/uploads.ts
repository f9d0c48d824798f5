/**
 * The way of complete segments from the spool into the vault, in the background.
 *
 * Invariants: a file leaves the spool only after the vault acknowledged it, and was then still the one that was opened; a vault that fails delays this and nothing
 * else: reception goes on for as long as the spool has room; segments go in the order in which they were completed, so
 * that what the vault holds has no hole that the spool could fill.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock, Instant } from "../platform/clock.ts";
import type { RandomSource } from "../platform/random.ts";
import { retry } from "../platform/retry.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { KeptKeys } from "../vault/kept-keys.ts";
import { segmentKey } from "../vault/names.ts";
import { checkSameVault } from "../vault/same-vault.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import type { SpoolFile } from "./spool-files.ts";
import type { StoredSegment } from "./walked.ts";

/** What uploads need. */
export type UploadTools = {
  readonly vault: Vault;
  /** Given the key wraps of the vault before each segment is sealed: a rotation may have made a newer data key (see KeptKeys). */
  readonly renewKeys?: KeptKeys["renew"] | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Whose segments these are; known before the first one is added. */
  readonly systemId: () => SystemId;
  readonly readFile: (file: string) => Promise<Buffer>;
  /** Takes a stored segment out of the spool. */
  readonly remove: (file: SpoolFile) => Promise<void>;
  /** Given each segment that the vault has by now. */
  readonly stored?: ((segment: StoredSegment) => Promise<void>) | undefined;
};

/** A vault that is down is asked again about twice a minute, which no store minds. */
const UPLOAD_RETRY = { attemptsMax: Number.POSITIVE_INFINITY, delayMinMs: 200, delayMaxMs: 30_000 };

/**
 * After each piece of a segment, while no other one waits: commits wait for syncs of the same disk, and nobody for the segment. So a
 * segment takes half a second.
 */
const BETWEEN_PIECES_MS = 10;

/** The queue. Bounded by what the spool may hold: see `spoolBytesMax` of the receiver. */
export class Uploads {
  readonly #tools: UploadTools;
  readonly #waiting = new Map<string, SpoolFile>();
  #waitingBytes = 0;
  #failure: unknown;
  #failingSince: Instant | undefined;
  #headSince: Instant | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(tools: UploadTools) {
    this.#tools = tools;
  }

  /** Segments that the vault does not have yet. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#waitingBytes;
  }

  /** Why the last attempt failed, and since when none succeeded; undefined when it did. */
  get failure(): { readonly error: unknown; readonly since: Instant } | undefined {
    return this.#failingSince === undefined ? undefined : { error: this.#failure, since: this.#failingSince };
  }

  /** Since when the segment at the head of the queue is on its way; undefined while none is. */
  get headSince(): Instant | undefined {
    return this.#headSince;
  }

  /** Puts a complete segment in the queue; one that is in it is left there. */
  add(file: SpoolFile): void {
    if (this.#waiting.has(file.path)) return;
    this.#waiting.set(file.path, file);
    this.#waitingBytes += file.sizeBytes;
    this.#wake.resolve();
  }

  /** Stores what is and comes into the queue until the signal aborts. Rejects only with what no repetition mends. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake.resolve();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const [file] = this.#waiting.values();
        if (file === undefined) {
          await this.#wake.promise;
          this.#wake = Promise.withResolvers<void>();
        } else await this.#store(file, signal);
      }
    } catch (error) {
      if (!isLifeboatError(error, "platform.aborted")) throw error;
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  /** Not for one that has come behind: the spool is bounded. */
  async #rest(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size === 1) await this.#tools.clock.sleep(BETWEEN_PIECES_MS, { signal });
  }

  async #store(file: SpoolFile, signal: AbortSignal): Promise<void> {
    this.#headSince = this.#tools.clock.now();
    const store = async (): Promise<void> => {
      const bytes = await this.#unstoredBytes(file, signal);
      if (bytes === undefined) return;
      const systemId = this.#tools.systemId();
      const segment = { systemId, segment: file.segment, bytes };
      const { vault } = this.#tools;
      const wraps = await checkSameVault(vault, { signal });
      await this.#tools.renewKeys?.(wraps, { signal });
      await putSegment(vault, segment, { signal, between: () => this.#rest(signal) });
      // It may have been exchanged meanwhile. Two looks of two small reads each, where a segment takes half a second.
      await checkSameVault(vault, { signal });
      await this.#tools.remove(file);
      await this.#tools.stored?.(segment);
    };
    await retry(this.#tools, UPLOAD_RETRY, store, {
      signal,
      permanent: isHopeless,
      failed: ({ error }) => {
        this.#failure = error;
        this.#failingSince ??= this.#tools.clock.now();
      },
    });
    this.#failingSince = undefined;
    this.#headSince = undefined;
    this.#waiting.delete(file.path);
    this.#waitingBytes -= file.sizeBytes;
  }

  /** Undefined for a file that was stored and removed after the spool was listed, and put in the queue once more. */
  async #unstoredBytes(file: SpoolFile, signal: AbortSignal): Promise<Buffer | undefined> {
    try {
      return await this.#tools.readFile(file.path);
    } catch (error) {
      if (!isLifeboatError(error, "platform.file-missing")) throw error;
      const { vault, systemId } = this.#tools;
      const key = segmentKey({ systemId: systemId(), segment: file.segment });
      if ((await vault.store.head(key, { signal })) === undefined) throw error;
      return undefined;
    }
  }
}

/** Two histories under one name, or a bug: waiting mends neither, and going on would hide it. */
function isHopeless(error: unknown): boolean {
  return !isLifeboatError(error) || error.kind === "bug" || error.code === "wal.segment-conflict";
}
