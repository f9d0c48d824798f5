/**
 * Gives a node the WAL that only the witness holds, so that nothing that was acknowledged is missing when it is promoted.
 *
 * It is written where the node's own receiver would have written it, into pg_wal behind what the node has, by the node itself
 * (COPY TO PROGRAM as its superuser): that works wherever the node runs, needs no restore_command, and cannot put a shorter
 * segment over a longer one (rule B1). The node reads pg_wal again every wal_retrieve_retry_interval, and when it is told to
 * load its configuration again, which wakes its startup process.
 */
import { LifeboatError } from "../errors/error.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  lsnDistance,
  lsnMax,
  lsnMin,
  parseLsn,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { QueryConnection, QueryRow } from "../postgres/query-connection.ts";
import type { HeldWal } from "../wal/held-end.ts";
import { WAL_PAGE_BYTES } from "../wal/records/page.ts";
import type { WitnessClient } from "./client.ts";
import { planGap, type SegmentGap } from "./gap-plan.ts";
import { READ_BYTES_MAX } from "./protocol.ts";
import type { HeldStretch } from "./witness.ts";

/** Who is asked, and for how long. */
export type GapTools = {
  readonly witness: Pick<WitnessClient, "read" | "digest">;
  /** The epoch in which the witness was withdrawn. */
  readonly epoch: number;
  /** A superuser's session on the node. */
  readonly node: QueryConnection;
  /** Asked before each step: how long it may take of what is left. */
  readonly limits: () => { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined };
};

/** What came of it. */
export type GapAnswer =
  | { readonly kind: "nothing-to-add" }
  /** The node holds all that the witness holds; it has it all once it has replayed to `recordEnd`. */
  | { readonly kind: "filled"; readonly recordEnd: Lsn }
  /** They hold different bytes from the page at `at` on. Nothing was written. */
  | { readonly kind: "diverged"; readonly at: Lsn }
  | { readonly kind: "hole"; readonly from: Lsn; readonly to: Lsn };

/** Compared at a time: neither side holds more than that in memory. */
const COMPARE_BYTES = 16 * 1024 * 1024;

/**
 * Writes what the node lacks. `held` is what the withdrawal of this epoch answered; `node` what is known of the node, which
 * is looked at again. Repeatable, also after it was cut off. Rejects with `witness.node-not-still`, `witness.end-unknown`,
 * `witness.gap-not-written`, and as witness and node do.
 */
export async function fillGap(
  tools: GapTools,
  of: {
    readonly held: HeldWal | undefined;
    readonly node: { readonly timeline: Timeline; readonly flushed: Lsn };
  },
): Promise<GapAnswer> {
  const { held, node } = of;
  const flushed = lsnMax(node.flushed, await standingStill(tools));
  const plan = planGap(held, { ...node, flushed });
  if (plan.kind !== "fill" || held === undefined) return plan.kind === "fill" ? { kind: "nothing-to-add" } : plan;
  const recordEnd = held.recordEndLsn;
  if (recordEnd === undefined) throw endUnknown(held);
  for (const segment of plan.segments) {
    const at = await firstDifference(tools, { ...segment, from: segment.start, to: segment.equalTo });
    if (at !== undefined) return { kind: "diverged", at };
  }
  for (const segment of plan.segments) await write(tools, segment, held.walSegmentBytes);
  for (const segment of plan.segments) {
    const at = await firstDifference(tools, { ...segment, from: segment.writeFrom, to: segment.to });
    if (at !== undefined) throw notWritten(segment, at);
  }
  if (plan.segments.length > 0) await query(tools, "SELECT pg_reload_conf()");
  return { kind: "filled", recordEnd };
}

/** The end of what the node has. Throws `witness.node-not-still`: what moves cannot be compared. */
async function standingStill(tools: GapTools): Promise<Lsn> {
  const [row] = await query(
    tools,
    `SELECT pg_is_in_recovery() AS standby,
       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver') AS receives,
       coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::text AS flushed`,
  );
  if (row?.["standby"] === true && row["receives"] === false) return parseLsn(String(row["flushed"]));
  throw new LifeboatError("witness.node-not-still", {
    message: row?.["standby"] === true ? "the node still receives WAL from somebody" : "the node is no standby",
    remedy: "Clear primary_conninfo on the node that is to be promoted, and wait until its WAL receiver is gone.",
  });
}

type Stretch = HeldStretch & Pick<SegmentGap, "segment" | "start">;

/** Where witness and node begin to differ, to a page; undefined when they do not. */
async function firstDifference(tools: GapTools, stretch: Stretch): Promise<Lsn | undefined> {
  for (let from = stretch.from; from < stretch.to; from = lsnAdd(from, COMPARE_BYTES)) {
    const piece = { ...stretch, from, to: lsnMin(stretch.to, lsnAdd(from, COMPARE_BYTES)) };
    if (!(await same(tools, piece))) return await halve(tools, piece);
  }
  return undefined;
}

async function halve(tools: GapTools, { from: first, to: last, ...rest }: Stretch): Promise<Lsn> {
  let [from, to] = [first, last];
  for (;;) {
    const half = segmentStart(lsnAdd(from, lsnDistance({ from, to }) >> 1), WAL_PAGE_BYTES);
    const middle = lsnMax(half, lsnAdd(from, WAL_PAGE_BYTES));
    if (middle >= to) return from;
    if (await same(tools, { ...rest, from, to: middle })) from = middle;
    else to = middle;
  }
}

async function same(tools: GapTools, { segment, start, timeline, from, to }: Stretch): Promise<boolean> {
  const { witness, epoch } = tools;
  const offset = lsnDistance({ from: start, to: from });
  const [theirs, [row]] = await Promise.all([
    witness.digest(epoch, { timeline, from, to }, tools.limits()),
    query(tools, "SELECT encode(sha256(pg_read_binary_file('pg_wal/' || $1, $2, $3, true)), 'hex') AS digest", [
      segment,
      offset,
      lsnDistance({ from, to }),
    ]),
  ]);
  return row?.["digest"] === theirs;
}

async function write(tools: GapTools, gap: SegmentGap, walSegmentBytes: number): Promise<void> {
  const { witness, epoch } = tools;
  const { segment, timeline, start, writeFrom } = gap;
  for (let from = writeFrom; from < gap.to; from = lsnAdd(from, READ_BYTES_MAX)) {
    const to = lsnMin(gap.to, lsnAdd(from, READ_BYTES_MAX));
    const bytes = await witness.read(epoch, { timeline, from, to }, tools.limits());
    const page = lsnDistance({ from: start, to: from }) / WAL_PAGE_BYTES;
    const program = writingProgram({ segment, page, walSegmentBytes });
    await query(tools, `COPY (SELECT '${bytes.toString("base64")}') TO PROGRAM '${program}'`);
  }
}

/**
 * The shell program that writes pages of a segment, which come on its input in base64, in a data directory. When it has ended well
 * they are on stable storage. A segment that the node has never begun comes into being whole, under another name until it is: zeros
 * end all WAL.
 */
export function writingProgram(of: {
  readonly segment: string;
  readonly page: number;
  readonly walSegmentBytes: number;
}): string {
  const file = `pg_wal/${of.segment}`;
  const make = `dd if=/dev/zero of=${file}.lifeboat bs=${WAL_PAGE_BYTES} count=${of.walSegmentBytes / WAL_PAGE_BYTES} conv=fsync 2>/dev/null && mv ${file}.lifeboat ${file} && sync pg_wal`;
  const put = `base64 -d | dd of=${file} bs=${WAL_PAGE_BYTES} seek=${of.page} conv=notrunc,fsync 2>/dev/null`;
  return `{ [ -e ${file} ] || { ${make}; }; } && { ${put}; }`;
}

async function query(
  { node, limits }: GapTools,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly QueryRow[]> {
  return await node.query(sql, parameters, limits());
}

function endUnknown({ flushedLsn }: HeldWal): LifeboatError {
  return new LifeboatError("witness.end-unknown", {
    message: `where the last whole record before ${formatLsn(flushedLsn)} ends could not be told`,
    remedy: "See whether the vault's store answers, then withdraw the receiver's mandate in this epoch again.",
    retryable: true,
  });
}

function notWritten({ segment }: SegmentGap, at: Lsn): LifeboatError {
  return new LifeboatError("witness.gap-not-written", {
    message: `${segment} of the node differs at ${formatLsn(at)} from what was written there`,
    remedy: "Look at the node's log and disk, then fill the gap again. Do not promote it before that has succeeded.",
    retryable: true,
  });
}
