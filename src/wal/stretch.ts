/**
 * A stretch of WAL as a source of records, and what the receiver has walked of it.
 */
import { type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { fetchWal, type WalSources } from "./get.ts";
import { type LineagePart, partAt } from "./history.ts";
import type { WalSource } from "./records/reader.ts";
import { isOf, readWalked, type Walked } from "./walked.ts";

/** From where to where, along which timeline. */
export type Stretch = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
};

/** What was walked of the stretch; undefined when that is nothing. */
export async function walkedOf(sources: WalSources, stretch: Stretch): Promise<Walked | undefined> {
  const { files, spoolFolder, systemId, vault } = sources;
  const walked = spoolFolder === undefined ? undefined : await readWalked(files, spoolFolder);
  const { timeline } = stretch;
  if (walked === undefined || !isOf(walked, { vaultId: vault.id, systemId, timeline })) return undefined;
  return walked.from < stretch.to && walked.to > stretch.from ? walked : undefined;
}

/** WAL along a lineage; a segment's memory is used again for the one after the next. Reading rejects when the store cannot answer. */
export function stretchSource(
  sources: WalSources,
  of: { readonly lineage: readonly LineagePart[]; readonly walSegmentBytes: number },
  options: { readonly signal?: AbortSignal | undefined },
): WalSource {
  const { lineage, walSegmentBytes } = of;
  const buffers = new SegmentBuffers(walSegmentBytes);
  return {
    walSegmentBytes,
    // In the segment where a timeline begins, its own copy has what came before too; the older one may go on in another branch.
    timelineAt: (start) => partAt(lineage, lsnAdd(start, walSegmentBytes - 1)).timeline,
    readSegment: async (name) => {
      const answer = await fetchWal(sources, name, { ...options, into: buffers.next() });
      if (answer.kind === "unknown") throw answer.error;
      return answer.kind === "found" ? answer.bytes : undefined;
    },
  };
}

/**
 * Memory for segments, used again: a new one for each costs more than reading it. What is looked into, a change of parameters or the
 * headers of a record, lies in two segments at most, so the third may go where the first was.
 */
class SegmentBuffers {
  readonly #walSegmentBytes: number;
  readonly #buffers: Buffer[] = [];
  #count = 0;

  constructor(walSegmentBytes: number) {
    this.#walSegmentBytes = walSegmentBytes;
  }

  next(): Buffer {
    const index = this.#count % 2;
    this.#count += 1;
    this.#buffers[index] ??= Buffer.allocUnsafeSlow(this.#walSegmentBytes);
    return this.#buffers[index];
  }
}
