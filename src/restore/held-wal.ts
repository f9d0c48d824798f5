/**
 * The WAL that a restore takes from the vault and, where it lies on this machine, from the receiver's spool.
 */
import type { Timeline } from "../postgres/lsn.ts";
import { getHistory } from "../vault/wal-store.ts";
import { fetchWal, getTail, type WalSources } from "../wal/get.ts";
import { parseHistory } from "../wal/history.ts";
import { isClosed, readHoldingsPastDamage } from "../wal/holdings.ts";
import type { WalHoldings } from "../wal/ranges.ts";
import { withHistoriesOfBackups } from "../wal/told-by-backups.ts";
import { historyTold, withHistoriesOfLater } from "../wal/told-by-later.ts";
import type { RestoreWal } from "./restore-wal.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** WAL of one system. What cannot be told rejects: a restore never takes it for absence (safety rule B2). */
export class HeldWal implements RestoreWal {
  readonly #sources: WalSources;
  readonly #walSegmentBytes: number;

  constructor(sources: WalSources, walSegmentBytes: number) {
    this.#sources = sources;
    this.#walSegmentBytes = walSegmentBytes;
  }

  async holdings(options: CallOptions): Promise<WalHoldings> {
    const holdings = await readHoldingsPastDamage(this.#sources, this.#walSegmentBytes, options);
    const told = await withHistoriesOfBackups(this.#sources.vault, holdings, options);
    return withHistoriesOfLater(this.#sources, told, options);
  }

  async segment(name: string, options: CallOptions): Promise<Buffer | undefined> {
    const answer = await fetchWal(this.#sources, name, options);
    if (answer.kind === "unknown") throw answer.error;
    if (answer.kind === "found") return answer.bytes;
    const tail = await getTail(this.#sources, name, options);
    if (tail.kind === "unknown") throw tail.error;
    return tail.kind === "found" ? tail.bytes.subarray(0, tail.validBytes) : undefined;
  }

  async history(timeline: Timeline, options: CallOptions): Promise<Buffer | undefined> {
    const { vault, systemId } = this.#sources;
    const told = (): Promise<Buffer | undefined> => historyTold(this.#sources, timeline, options);
    try {
      const content = await getHistory(vault, { systemId, timeline }, options);
      // Read once here so that a damaged history is named now, not by the server in the middle of its recovery.
      if (content !== undefined) parseHistory(timeline, content);
      return content ?? (await told());
    } catch (error) {
      if (!isClosed(error)) throw error;
      const content = await told();
      if (content === undefined) throw error;
      return content;
    }
  }
}
