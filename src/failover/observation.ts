/**
 * What a controller has seen over time, folded from the rounds of its probes. Pure.
 *
 * Nouns: a *round* is one answer (or none) of every party; an *observation* is the newest round with what only several
 * rounds can tell: since when a party fails, what it said last.
 * Invariant: times are the controller's own monotonic clock; "since" is when the first failing probe was *sent*, so that an
 * answer a second party received after it proves life after the suspicion.
 */
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import type { ClusterRecord, Epoch, NodeName, NodeProbe, NodeView, WitnessView } from "./ports.ts";
import { type Unkept, unkeptSince } from "./waited-for.ts";

/** One node's answer, and when. */
export type NodeRound = { readonly sentAt: Monotonic; readonly at: Monotonic; readonly probe: NodeProbe };

/** The witness's answer, undefined where there was none in time. */
export type WitnessRound = {
  readonly sentAt: Monotonic;
  readonly at: Monotonic;
  readonly view: WitnessView | undefined;
};

/** What is known of a node. */
export type NodeHistory = NodeRound & {
  /** Since when it has the trouble that it has now; undefined while it is well. Another trouble begins anew. */
  readonly trouble: { readonly kind: Trouble; readonly since: Monotonic; readonly rounds: number } | undefined;
  /** Since when it does not work, whatever the trouble. */
  readonly failingSince: Monotonic | undefined;
  /** When it was lately seen starting anew (57P03) after it had worked, the oldest first: also what it recovered from counts. */
  readonly restarts: readonly Monotonic[];
  /** Since when it is a standby that streams from nobody; undefined otherwise. */
  readonly detachedSince: Monotonic | undefined;
  /** When a standby was last seen to have come up, or to have replayed more than before; undefined where it is none. */
  readonly advancedAt: Monotonic | undefined;
  /** In the reign that the record told then. Forgotten of a primary whose data a person has written over: that is to be one no more. */
  readonly last: { readonly at: Monotonic; readonly view: NodeView; readonly reign: Epoch } | undefined;
};

/** What is known of the witness. */
export type WitnessHistory = WitnessRound & {
  readonly last: { readonly at: Monotonic; readonly view: WitnessView } | undefined;
};

/** Why a primary would not do. */
export type Trouble =
  | "nobody-listens"
  | "silent"
  /** 57P03: starting, or recovering from a lost backend. */
  | "starting"
  /** Another error than that: alive, and not able to serve us. */
  | "error"
  /** A new session works and a write with its sync does not end. */
  | "stuck"
  /** A write fails: 53100 and the like. */
  | "write-failed";

/** Everything `decide` looks at. */
export type Observation = {
  readonly now: Monotonic;
  readonly record: ClusterRecord;
  readonly nodes: ReadonlyMap<NodeName, NodeHistory>;
  readonly witness: WitnessHistory;
  /** The primary's last known flush position in this reign, and when it was seen. */
  readonly primaryEnd: { readonly at: Monotonic; readonly lsn: Lsn } | undefined;
  /** Undefined while the primary does what the record says, as far as was seen. */
  readonly unkept: Unkept | undefined;
};

/** What is remembered between rounds. */
export type Memory = Pick<Observation, "nodes" | "witness" | "primaryEnd" | "unkept"> & {
  readonly record: ClusterRecord;
};

/** Folds a round into what was known. A record of another reign forgets what was seen of the old one's positions. */
export function remember(
  before: Memory | undefined,
  round: {
    readonly record: ClusterRecord;
    readonly nodes: ReadonlyMap<NodeName, NodeRound>;
    readonly witness: WitnessRound;
  },
): Memory {
  const { record } = round;
  const known = before?.record.reign === record.reign ? before : undefined;
  const nodes = new Map<NodeName, NodeHistory>();
  for (const [name, seen] of round.nodes) nodes.set(name, nodeHistory(before?.nodes.get(name), seen, record.reign));
  const { witness } = round;
  const last = witness.view === undefined ? known?.witness.last : { at: witness.at, view: witness.view };
  const role = roleOf(nodes.get(record.primary));
  const ended = role?.kind === "primary" ? { at: nodes.get(record.primary)?.at, lsn: role.flushed } : undefined;
  const primaryEnd = ended?.at === undefined ? known?.primaryEnd : { at: ended.at, lsn: ended.lsn };
  const unkept = unkeptSince(known?.unkept, { record, nodes }, nodes.get(record.primary)?.sentAt ?? witness.sentAt);
  return { record, nodes, witness: { ...witness, last }, primaryEnd, unkept };
}

/** The trouble that one probe shows; undefined when the node is well. */
export function troubleOf(probe: NodeProbe): Trouble | undefined {
  switch (probe.kind) {
    case "nobody-listens":
    case "silent":
      return probe.kind;
    case "error":
      return probe.sqlstate === "57P03" ? "starting" : "error";
    case "answered": {
      const { role } = probe.view;
      if (role.kind === "standby" || role.write.kind === "written") return undefined;
      return role.write.kind === "stuck" ? "stuck" : "write-failed";
    }
  }
}

/** A crash is forgotten after so long; few are remembered. */
const RESTARTS_WINDOW_MS = 60_000;
const RESTARTS_KEPT = 8;

/** One for each time that it did not work, however that began. */
function restartsOf(
  before: NodeHistory | undefined,
  { sentAt }: NodeRound,
  kind: Trouble | undefined,
): readonly Monotonic[] {
  const lately = (before?.restarts ?? []).filter((at) => sentAt - at < RESTARTS_WINDOW_MS);
  if (kind !== "starting" || before === undefined) return lately;
  const since = before.failingSince ?? sentAt;
  return lately.some((at) => at >= since) ? lately : [...lately, sentAt].slice(-RESTARTS_KEPT);
}

function nodeHistory(before: NodeHistory | undefined, seen: NodeRound, reign: Epoch): NodeHistory {
  const kind = troubleOf(seen.probe);
  const last = lastOf(before, seen, reign);
  const detachedSince = isDetached(seen.probe) ? (before?.detachedSince ?? seen.sentAt) : undefined;
  const restarts = restartsOf(before, seen, kind);
  const lasting = { restarts, detachedSince, advancedAt: advancedAt(before, seen), last };
  if (kind === undefined) return { ...seen, trouble: undefined, failingSince: undefined, ...lasting };
  const same = before?.trouble?.kind === kind ? before.trouble : undefined;
  const trouble = { kind, since: same?.since ?? seen.sentAt, rounds: (same?.rounds ?? 0) + 1 };
  return { ...seen, trouble, failingSince: before?.failingSince ?? seen.sentAt, ...lasting };
}

function lastOf(before: NodeHistory | undefined, { at, probe }: NodeRound, reign: Epoch): NodeHistory["last"] {
  if (probe.kind === "answered") return { at, view: probe.view, reign };
  const isUnder = probe.kind === "error" && probe.rebuilding === true;
  const isRebuilt = isUnder || (probe.kind === "nobody-listens" && probe.unfinished === true);
  return isRebuilt && before?.last?.view.role.kind === "primary" ? undefined : before?.last;
}

/** Who does not answer in time may be as it was; one that is down or starts will have come up. */
function advancedAt(before: NodeHistory | undefined, { probe, sentAt }: NodeRound): Monotonic | undefined {
  if (probe.kind !== "answered") {
    const trouble = troubleOf(probe);
    return trouble === "nobody-listens" || trouble === "starting" ? undefined : before?.advancedAt;
  }
  const [was, is] = [before?.last?.view.role, probe.view.role];
  if (is.kind !== "standby") return undefined;
  return was?.kind === "standby" && was.replayed === is.replayed ? (before?.advancedAt ?? sentAt) : sentAt;
}

function isDetached(probe: NodeProbe): boolean {
  if (probe.kind !== "answered" || probe.view.role.kind !== "standby") return false;
  return probe.view.role.receiver.kind !== "streaming";
}

function roleOf(node: NodeHistory | undefined): NodeView["role"] | undefined {
  return node?.probe.kind === "answered" ? node.probe.view.role : undefined;
}
