/**
 * Agreeing with the server on where to start.
 *
 * Observes (server, slot, spool, vault), lets decide.ts decide, then makes the spool ready: a session that got here may
 * stream. Each step leaves the spool usable, so that a receiver killed in between begins again at the top.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import {
  formatLsn,
  LSN_NONE,
  type Lsn,
  lsnAdd,
  lsnDistance,
  lsnMax,
  parseSegmentName,
  segmentName,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { checkSameVault } from "../vault/same-vault.ts";
import { tellsLoss } from "../vault/unopened.ts";
import { getSegment, listWal, putHistory } from "../vault/wal-store.ts";
import { comparedOffset, Link } from "./continuation.ts";
import { decideStart, lastPages, type StartDecision, type StartFacts } from "./decide.ts";
import { type LineagePart, lineageOf, namesAncestors, parseHistory } from "./history.ts";
import { checkAgainstMandate, checkAgainstSpool, checkAgainstVault, type ServerFacts } from "./identity.ts";
import { type WalRange, walLineage } from "./ranges.ts";
import { parseSegmentSize } from "./segment-size.ts";
import type { Plan, SessionContext } from "./session-context.ts";
import type { SpoolState } from "./spool-state.ts";
import { isOf } from "./walked.ts";

type CallOptions = { readonly signal: AbortSignal };

/** It has no history. */
const FIRST_TIMELINE = 1 as Timeline;

type GoingOn = Exclude<StartDecision, { kind: "server-behind" | "gone" }>;

/**
 * Checks who the server is, registers its history, sees to the slot, and makes the spool ready. Throws
 * `wal.foreign-system`, `wal.foreign-lineage`, `wal.timeline-behind`, `wal.timeline-unexpected`, `wal.server-behind`, `wal.segment-conflict`.
 */
export async function agreeOnStart(
  connection: ReplicationConnection,
  context: SessionContext,
  call: CallOptions,
): Promise<Plan> {
  const { spool, options } = context;
  const server = await identify(connection, call);
  checkAgainstMandate(server, context.mandate);
  if (spool.state !== undefined) checkAgainstSpool(server, spool.state);
  if (spool.state?.vaultId !== context.vault.id) {
    await checkAgainstVault(server, context.vault, { newSystem: options.newSystem, signal: call.signal });
  }
  const histories = await register(connection, context, server, call);
  const slotRestartLsn = await reserveSlot(connection, options, call);
  const lineage = lineageOf(server.timeline, server.history);
  const { walSegmentBytes } = server;
  const facts = { server, lineage, slotRestartLsn, walSegmentBytes };
  const held = await heldEnds(context, server, lineage, call);
  const further = await heldFurther(context, server, { ...facts, held, gone: undefined }, call);
  const decision = decideStart({ ...facts, held: further ?? held, gone: context.gone?.what });
  if (decision.kind === "server-behind") throw serverBehind(server, decision.heldLsn);
  if (decision.kind === "gone") throw nothingLater(server, decision.at);
  const rangeFrom = await beginOfRange(context, server, { lineage, decision }, call);
  const { timeline } = decision;
  const known = histories.get(timeline) ?? (timeline === 1 ? "" : await historyText(connection, timeline, call));
  await takeUp(context, server, { decision, history: known ?? ancestorsOf(timeline, server), rangeFrom });
  return planOf(context, server, decision, call);
}

/** Makes the spool ready for what was decided: identity first, then the file. */
async function takeUp(
  context: SessionContext,
  server: ServerFacts,
  start: {
    readonly decision: GoingOn;
    readonly history: string;
    readonly rangeFrom: Lsn | undefined;
  },
): Promise<void> {
  const { decision, history, rangeFrom } = start;
  const { spool, options, vault } = context;
  const { state } = spool;
  const skipped = decision.kind === "begin" ? decision.skipped : undefined;
  const gap = skipped === undefined ? undefined : { ...skipped, noticedAt: formatInstant(context.clock.now()) };
  const next: SpoolState = {
    vaultId: vault.id,
    systemId: server.systemId,
    walSegmentBytes: server.walSegmentBytes,
    timeline: decision.timeline,
    history,
    slot: options.slot,
    flushedLsn: decision.at,
    rangeFrom,
    gaps: [...(state?.gaps ?? []), ...(gap === undefined ? [] : [gap])],
  };
  const unchanged =
    state !== undefined &&
    gap === undefined &&
    state.timeline === next.timeline &&
    state.history === next.history &&
    state.vaultId === next.vaultId &&
    state.rangeFrom === next.rangeFrom &&
    state.slot === next.slot;
  if (!unchanged) await spool.adopt(next);
  if (gap !== undefined) context.lost(gap);
  await spool.endOthers(decision.timeline);
  await spool.continueAt({ timeline: decision.timeline, lsn: decision.at });
  if (decision.kind === "continue") spool.trustBefore();
}

async function planOf(
  context: SessionContext,
  server: ServerFacts,
  decision: GoingOn,
  call: CallOptions,
): Promise<Plan> {
  const { timeline, at } = decision;
  const plan = { timeline, streamFrom: at, writeFrom: at, expected: Buffer.alloc(0), confirmFrom: at };
  if (decision.kind === "begin") return plan;
  if (decision.kind === "follow") {
    const { switchLsn, sharedTo, ancestor } = decision;
    if (at === sharedTo) {
      const link = linkBehind(context, server, { ...decision, held: ancestor }, call);
      return { ...plan, confirmFrom: switchLsn, link: await unlessUnknown(link) };
    }
    const shared = await heldBytes(context, server, { timeline: ancestor, from: at, to: sharedTo }, call);
    if (shared === undefined) return { ...plan, confirmFrom: switchLsn };
    // Taken from what is held: the first commit of a new primary waits for this, and a segment takes long to be sent.
    await context.spool.append(shared, () => undefined);
    const offset = comparedOffset(shared) ?? 0;
    const expected = shared.subarray(offset);
    return { timeline, streamFrom: lsnAdd(at, offset), writeFrom: sharedTo, expected, confirmFrom: switchLsn };
  }
  return { ...plan, ...(await continuation(context, server, decision, call)) };
}

/**
 * What a server that goes on with a timeline is known by. Where the segment held last does not open, that is the end of the one before it, and
 * the link to the last record where that was walked: it must not keep an honest server from its receiver. A vault that does not answer by now is
 * waited for, unless the link is known: it will tell.
 */
async function continuation(
  context: SessionContext,
  server: ServerFacts,
  { timeline, at, compareFrom }: Extract<StartDecision, { kind: "continue" }>,
  call: CallOptions,
): Promise<Pick<Plan, "link"> | Pick<Plan, "link" | "streamFrom" | "expected">> {
  const behind = { held: timeline, timeline, at };
  if (compareFrom === undefined) return { link: await linkBehind(context, server, behind, call) };
  const from = (end: Lsn, expected: Buffer) => ({ streamFrom: lsnAdd(end, -expected.byteLength), expected });
  let last: Buffer | undefined;
  try {
    last = await comparedBytes(context, server, { timeline, compareFrom, at }, call);
  } catch (error) {
    const link = await walkedLink(context, server, behind);
    if (link === undefined || !isLifeboatError(error) || error.kind === "bug" || call.signal.aborted) throw error;
    return { link };
  }
  if (last !== undefined) return from(at, last);
  const link = await walkedLink(context, server, behind);
  const end = segmentStart(compareFrom, server.walSegmentBytes);
  if (end === LSN_NONE) return { link };
  const before = { timeline, compareFrom: lastPages(end, server.walSegmentBytes), at: end };
  const earlier = await comparedBytes(context, server, before, call);
  return earlier === undefined ? { link } : { ...from(end, earlier), link };
}

/**
 * The held bytes to compare: from `compareFrom` on, or from further back in its segment where that says too little. Undefined where
 * they are not to be had.
 */
async function comparedBytes(
  context: SessionContext,
  server: ServerFacts,
  { timeline, compareFrom, at }: { readonly timeline: Timeline; readonly compareFrom: Lsn; readonly at: Lsn },
  call: CallOptions,
): Promise<Buffer | undefined> {
  const near = await heldBytes(context, server, { timeline, from: compareFrom, to: at }, call);
  const from = segmentStart(compareFrom, server.walSegmentBytes);
  const offset = near === undefined || from === compareFrom ? 0 : comparedOffset(near);
  if (offset !== undefined) return near?.subarray(offset);
  const all = await heldBytes(context, server, { timeline, from, to: at }, call);
  return all?.subarray(comparedOffset(all) ?? 0);
}

/** For a start at a segment's first byte with nothing to compare. `held` is the timeline that is held up to there. */
async function linkBehind(
  context: SessionContext,
  server: ServerFacts,
  start: { readonly held: Timeline; readonly timeline: Timeline; readonly at: Lsn },
  call: CallOptions,
): Promise<Link | undefined> {
  const { at, timeline } = start;
  const { walSegmentBytes } = server;
  // A new primary's first commit waits for this: a segment of the vault is read only where nobody has walked it.
  const known = await walkedLink(context, server, start);
  if (known !== undefined) return known;
  const stretch = { timeline: start.held, from: lsnAdd(at, -walSegmentBytes), to: at };
  const segment = await heldBytes(context, server, stretch, call);
  return segment === undefined ? undefined : Link.behind(segment, { at, timeline, walSegmentBytes });
}

/** As `linkBehind`, where the last record was walked to its end. */
async function walkedLink(
  context: SessionContext,
  { walSegmentBytes, systemId }: ServerFacts,
  { held, timeline, at }: { readonly held: Timeline; readonly timeline: Timeline; readonly at: Lsn },
): Promise<Link | undefined> {
  const walked = await context.walked();
  const isThere = walked !== undefined && isOf(walked, { vaultId: context.vault.id, systemId, timeline: held });
  return isThere && walked.to === at ? Link.to(walked.last, { at, timeline, walSegmentBytes }) : undefined;
}

/**
 * Where the gap-free range begins that this start goes on with (rule B9); undefined when the vault must be asked and
 * does not answer, which keeps nobody from receiving.
 */
async function beginOfRange(
  context: SessionContext,
  server: ServerFacts,
  start: { readonly lineage: readonly LineagePart[]; readonly decision: GoingOn },
  call: CallOptions,
): Promise<Lsn | undefined> {
  const { decision, lineage } = start;
  if (decision.kind === "begin") return decision.at;
  const { state } = context.spool;
  if (state?.rangeFrom !== undefined) return state.rangeFrom;
  const ranges = await unlessUnknown(rangesHeld(context, server, lineage, call));
  const at = decision.kind === "follow" ? decision.switchLsn : decision.at;
  return ranges?.find(({ from, to }) => from <= at && at <= to)?.from;
}

/** The gap-free ranges of the server's lineage that spool and vault hold together. */
async function rangesHeld(
  { spool, vault }: SessionContext,
  server: ServerFacts,
  lineage: readonly LineagePart[],
  call: CallOptions,
): Promise<readonly WalRange[]> {
  const { systemId, walSegmentBytes } = server;
  const { segments } = await listWal(vault, { systemId }, call);
  const files = (await spool.list()).filter(({ sizeBytes }) => sizeBytes > 0);
  const complete = files.filter(({ kind }) => kind === "complete").map(({ segment }) => segment);
  const tails = files.filter(({ kind }) => kind !== "complete");
  const histories = new Map([[server.timeline, server.history]]);
  const holdings = { systemId, walSegmentBytes, segments: [...segments, ...complete], tails, histories };
  return walLineage(holdings, lineage.at(-1)?.timeline ?? server.timeline).ranges;
}

/**
 * What is held further than the spool says, where the server had no WAL any more: another receiver may have stored it since. What
 * was gone is forgotten where that was before. Undefined where nothing is, or the vault does not tell: then what is gone is a gap.
 */
async function heldFurther(
  context: SessionContext,
  server: ServerFacts,
  facts: StartFacts,
  call: CallOptions,
): Promise<ReadonlyMap<Timeline, Lsn> | undefined> {
  const { gone } = context;
  const known = gone === undefined ? undefined : decideStart(facts);
  if (gone === undefined || (known?.kind !== "continue" && known?.kind !== "follow")) return undefined;
  const end = known.kind === "follow" ? known.switchLsn : known.at;
  const ranges = await unlessUnknown(rangesHeld(context, server, facts.lineage, call));
  const range = ranges?.find(({ from, to }) => from <= end && end < to);
  if (range === undefined) return undefined;
  const held = new Map(range.spans.map(({ timeline, to }) => [timeline, to]));
  const start = decideStart({ ...facts, held });
  // Another end than that of a segment is in the spool, and there it did not count: nothing can be appended to it.
  if (start.kind !== "continue" || start.at % BigInt(facts.walSegmentBytes) !== 0n) return undefined;
  if (start.at > gone.at) context.gone = undefined;
  return held;
}

/** Undefined when the vault must be asked and does not answer. */
async function unlessUnknown<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!isLifeboatError(error) || error.kind === "bug" || error.code === "platform.aborted") throw error;
    return undefined;
  }
}

async function identify(connection: ReplicationConnection, call: CallOptions): Promise<ServerFacts> {
  const identity = await connection.identifySystem(call);
  const walSegmentBytes = parseSegmentSize(await connection.show("wal_segment_size", call));
  if (identity.timeline === 1) return { ...identity, walSegmentBytes, historyText: "", history: [] };
  const { content } = await connection.timelineHistory(identity.timeline, call);
  const history = parseHistory(identity.timeline, content);
  return { ...identity, walSegmentBytes, historyText: content.toString("utf8"), history };
}

/**
 * Stores the histories of the server's timeline and of its ancestors, which a vault refuses when it holds others. An
 * ancestor's that the server no longer has, or a comment in its place, is let be: the later one says the same. Those up to the spool's timeline were
 * stored when it was taken up: a new primary's first commit does not wait for all timelines there ever were.
 */
async function register(
  connection: ReplicationConnection,
  { vault, spool }: SessionContext,
  server: ServerFacts,
  call: CallOptions,
): Promise<ReadonlyMap<Timeline, string>> {
  const texts = new Map<Timeline, string>();
  if (server.timeline === 1) return texts;
  const state = spool.state?.vaultId === vault.id ? spool.state : undefined;
  // Compared with the server's before (checkAgainstSpool).
  const descends = server.history.some(({ timeline }) => timeline === state?.timeline);
  const storedTo =
    state !== undefined && (descends || server.timeline === state.timeline) ? state.timeline : FIRST_TIMELINE;
  for (const { timeline } of server.history) {
    const text = timeline <= storedTo ? undefined : await historyText(connection, timeline, call);
    if (text !== undefined) texts.set(timeline, text);
  }
  if (server.timeline > storedTo || state?.history !== server.historyText) {
    texts.set(server.timeline, server.historyText);
  }
  // One that was exchanged for another could not read what is sealed for this one. Looked at only where there is something to store.
  if (texts.size > 0) await checkSameVault(vault, call);
  for (const [timeline, text] of texts) {
    await putHistory(vault, { systemId: server.systemId, timeline, content: Buffer.from(text) }, call);
  }
  if (storedTo === state?.timeline && !texts.has(storedTo)) texts.set(storedTo, state.history);
  return texts;
}

/**
 * An ancestor's history; undefined where the server has none, or something in its place: a restore lays a comment where the vault's does
 * not open, the server sends that for good, and once stored it could never be exchanged for the real one.
 */
async function historyText(
  connection: ReplicationConnection,
  timeline: Timeline,
  call: CallOptions,
): Promise<string | undefined> {
  try {
    const { content } = await connection.timelineHistory(timeline, call);
    return namesAncestors(timeline, content) ? content.toString("utf8") : undefined;
  } catch (error) {
    if (!isLifeboatError(error, "postgres.wal-removed")) throw error;
    return undefined;
  }
}

/** What the server's own history says of an ancestor: a spool without one could not be gone on with. */
function ancestorsOf(timeline: Timeline, { history }: ServerFacts): string {
  const before = history.filter((each) => each.timeline < timeline);
  return before.map((each) => `${each.timeline}\t${formatLsn(each.switchLsn)}\tas a later timeline tells\n`).join("");
}

/** Makes sure that the slot is there and keeps WAL; returns from where on. */
async function reserveSlot(
  connection: ReplicationConnection,
  { slot: name, slotLifetime }: SessionContext["options"],
  call: CallOptions,
): Promise<Lsn | undefined> {
  const slot = await connection.readSlot(name, call);
  if (slot?.restartLsn !== undefined) return slot.restartLsn;
  // A slot that keeps nothing was never used, or the server gave up on it: a new one loses nothing.
  if (slot !== undefined) await connection.dropSlot(name, call);
  await connection.createSlot({ name, reserveWal: true, temporary: slotLifetime === "session" }, call);
  return (await connection.readSlot(name, call))?.restartLsn;
}

/** The newest position held per timeline. The vault is asked only where the spool does not know. */
async function heldEnds(
  { spool, vault }: SessionContext,
  server: ServerFacts,
  lineage: readonly LineagePart[],
  call: CallOptions,
): Promise<ReadonlyMap<Timeline, Lsn>> {
  const held = new Map<Timeline, Lsn>();
  const note = (timeline: Timeline, end: Lsn): void => {
    held.set(timeline, lsnMax(held.get(timeline) ?? LSN_NONE, end));
  };
  for (const file of await spool.list()) {
    const { to } = lineage.find(({ timeline }) => timeline === file.timeline) ?? {};
    // An ended partial cannot be appended to; it counts where it reaches to its timeline's end.
    if (file.kind !== "ended" || (to !== undefined && file.end >= to)) note(file.timeline, file.end);
  }
  const followed = lineage.find(({ timeline }) => timeline === spool.state?.timeline)?.timeline;
  // What is held of a branch that the server left behind says nothing of where its own goes on.
  if (followed !== undefined && held.has(followed)) return held;
  const { walSegmentBytes, systemId } = server;
  // What this process completed and stored needs no vault that answers to be gone on from.
  const flushed = followed === undefined ? LSN_NONE : spool.flushedOn(followed);
  if (followed !== undefined && flushed !== LSN_NONE && flushed % BigInt(walSegmentBytes) === 0n) {
    note(followed, flushed);
    return held;
  }
  const { segments } = await listWal(vault, { systemId }, call);
  for (const name of segments) {
    const segment = parseSegmentName(name, walSegmentBytes);
    assert(segment !== undefined, `the vault's ${name} is a segment of ${walSegmentBytes} bytes`);
    note(segment.timeline, lsnAdd(segment.start, walSegmentBytes));
  }
  return held;
}

/**
 * Held bytes of one segment, from the spool or else the vault; undefined when neither has them. What the vault has and cannot open is told:
 * recovery ends there, and nothing mends it by itself.
 */
async function heldBytes(
  { spool, vault, clock, unreadable }: SessionContext,
  server: ServerFacts,
  stretch: { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
  call: CallOptions,
): Promise<Buffer | undefined> {
  if (stretch.from >= stretch.to) return Buffer.alloc(0);
  const spooled = await spool.read(stretch);
  if (spooled !== undefined) return spooled;
  const { walSegmentBytes, systemId } = server;
  const { timeline } = stretch;
  const segment = segmentName({ timeline, lsn: stretch.from, walSegmentBytes });
  const from = segmentStart(stretch.from, walSegmentBytes);
  try {
    const bytes = await getSegment(vault, { systemId, segment }, call);
    const offset = lsnDistance({ from, to: stretch.from });
    return bytes?.subarray(offset, offset + lsnDistance(stretch));
  } catch (error) {
    if (!tellsLoss(error)) throw error;
    const noticedAt = formatInstant(clock.now());
    const reason = `${segment} does not open in the vault: ${error.code}`;
    await unreadable({ systemId, timeline, from, to: lsnAdd(from, walSegmentBytes), reason, noticedAt });
    return undefined;
  }
}

function serverBehind(server: ServerFacts, heldLsn: Lsn): LifeboatError {
  return new LifeboatError("wal.server-behind", {
    message: `the server's WAL of timeline ${server.timeline} ends at ${formatLsn(server.flushedLsn)}, ${formatLsn(heldLsn)} was received from it before`,
    remedy:
      "If this server was restored from a copy of its files, it is another lineage: give it a vault of its own. A standby that lags will catch up.",
    retryable: true,
  });
}

function nothingLater(server: ServerFacts, at: Lsn): LifeboatError {
  return new LifeboatError("postgres.wal-removed", {
    message: `the server has no WAL from ${formatLsn(at)} on timeline ${server.timeline}, and none later than that`,
    remedy:
      "Run SELECT pg_switch_wal() on the server: reception goes on with its next segment. What lies between is not received: take a backup then.",
    retryable: true,
  });
}
