/**
 * Fetching WAL: `restore_command` and restores ask here.
 *
 * Nouns: an *answer* is found, absent or unknown. Absent is only said when spool and vault were both read and neither
 * has the file; anything that stands in the way is unknown, so that a failure never looks like the end of the archive.
 * Invariant: only complete segments and registered histories are handed out (rule B1); the tail of a segment has its own
 * function, for restores only.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { IntoOptions, Vault } from "../vault/vault.ts";
import { getHistory, getSegment } from "../vault/wal-store.ts";
import { listSpool, readSpoolFile, type SpoolFile } from "./spool-files.ts";
import { readSpoolState } from "./spool-state.ts";

/** Where WAL is looked for. */
export type WalSources = {
  readonly vault: Vault;
  readonly files: Files;
  /** The receiver's spool, where it lies on this machine. */
  readonly spoolFolder?: string | undefined;
  readonly systemId: SystemId;
};

/** The answer to a request for a file. */
export type WalAnswer =
  | { readonly kind: "found"; readonly bytes: Buffer; readonly from: "vault" | "spool" }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown"; readonly error: LifeboatError };

/** The answer to a request for what there is of an unfinished segment. */
export type TailAnswer =
  | {
      readonly kind: "found";
      /** A whole segment; zeros follow the valid bytes. */
      readonly bytes: Buffer;
      readonly validBytes: number;
      /** The position after the last valid byte. */
      readonly endLsn: Lsn;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown"; readonly error: LifeboatError };

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** `into` is memory that a segment may be put into; the answer's bytes are then a view of it. */
type FetchOptions = CallOptions & IntoOptions;

/**
 * Fetches a file by PostgreSQL's name: a segment or `00000002.history`. A name of WAL that is never kept (a backup label, a
 * partial) is absent. Throws `wal.bad-name` for what is no name of WAL, and `platform.aborted`.
 */
export async function fetchWal(sources: WalSources, name: string, options: FetchOptions): Promise<WalAnswer> {
  const wanted = parseName(name);
  if (wanted === undefined) return { kind: "absent" };
  try {
    // The spool first: a segment leaves it only after the vault has it, so it cannot slip through between the two.
    const spooled = await settle(() => (wanted.kind === "segment" ? fromSpool(sources, wanted.segment) : undefined));
    if (spooled.kind === "value" && spooled.value !== undefined) {
      return { kind: "found", bytes: spooled.value, from: "spool" };
    }
    const stored = await fromVault(sources, wanted, options);
    if (stored !== undefined) return { kind: "found", bytes: stored, from: "vault" };
    return spooled.kind === "failed" ? { kind: "unknown", error: spooled.error } : { kind: "absent" };
  } catch (error) {
    return { kind: "unknown", error: known(error) };
  }
}

/**
 * Fetches what there is of an unfinished segment, by PostgreSQL's name, filled up with zeros: the end of its timeline so far, of a
 * stretch before a gap, or of a timeline that ended, whose part is kept apart. Of several the longest. For restores only: handed
 * to a standby it would destroy what the standby has itself (rule B1).
 */
export async function getTail(sources: WalSources, segment: string, _options: CallOptions): Promise<TailAnswer> {
  try {
    const { files, walSegmentBytes } = await spoolFiles(sources);
    const [file] = files
      .filter((each) => each.kind !== "complete" && each.segment === segment && each.sizeBytes > 0)
      .toSorted((a, b) => (a.end < b.end ? 1 : -1));
    if (file === undefined) return { kind: "absent" };
    const bytes = await readSpoolFile(sources.files, file);
    const whole = Buffer.alloc(walSegmentBytes);
    bytes.copy(whole);
    const endLsn = lsnAdd(file.start, bytes.byteLength);
    return { kind: "found", bytes: whole, validBytes: bytes.byteLength, endLsn };
  } catch (error) {
    return { kind: "unknown", error: known(error) };
  }
}

type Wanted =
  | { readonly kind: "segment"; readonly segment: string }
  | { readonly kind: "history"; readonly timeline: Timeline };

function parseName(name: string): Wanted | undefined {
  const history = /^([0-9A-F]{8})\.history$/.exec(name);
  if (history !== null) return { kind: "history", timeline: Number.parseInt(history[1] ?? "", 16) as Timeline };
  if (/^[0-9A-F]{24}$/.test(name)) return { kind: "segment", segment: name };
  if (/^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup|\.partial)$/.test(name)) return undefined;
  throw new LifeboatError("wal.bad-name", {
    message: `"${name}" is not the name of a WAL file`,
    remedy: "Give the name that PostgreSQL puts in for %f, for example 00000001000000000000002A.",
  });
}

async function fromVault(
  { vault, systemId }: WalSources,
  wanted: Wanted,
  options: FetchOptions,
): Promise<Buffer | undefined> {
  if (wanted.kind === "segment") return await getSegment(vault, { systemId, segment: wanted.segment }, options);
  return await getHistory(vault, { systemId, timeline: wanted.timeline }, options);
}

async function fromSpool(sources: WalSources, segment: string): Promise<Buffer | undefined> {
  const file = (await spoolFiles(sources)).files.find((each) => each.kind === "complete" && each.segment === segment);
  if (file === undefined) return undefined;
  try {
    return await readSpoolFile(sources.files, file);
  } catch (error) {
    // Stored and removed since we looked: the vault has it.
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

async function spoolFiles({ files, spoolFolder, systemId }: WalSources): Promise<{
  readonly files: readonly SpoolFile[];
  readonly walSegmentBytes: number;
}> {
  const state = spoolFolder === undefined ? undefined : await readSpoolState(files, spoolFolder);
  // A spool of another system holds nothing that was asked for.
  if (state === undefined || spoolFolder === undefined || state.systemId !== systemId) {
    return { files: [], walSegmentBytes: 0 };
  }
  return { files: await listSpool(files, spoolFolder, state), walSegmentBytes: state.walSegmentBytes };
}

type Settled<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "failed"; readonly error: LifeboatError };

async function settle<T>(work: () => Promise<T> | T): Promise<Settled<T>> {
  try {
    return { kind: "value", value: await work() };
  } catch (error) {
    return { kind: "failed", error: known(error) };
  }
}

/** An expected failure as it is; stops on request, and bugs, go on up. */
function known(error: unknown): LifeboatError {
  if (isLifeboatError(error) && error.kind !== "bug" && error.code !== "platform.aborted") return error;
  throw error;
}
