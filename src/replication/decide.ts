/** What a look at replication comes to: how far each confirmer is behind, and what is wrong. Pure. */
import { sameName } from "../durability/names.ts";
import type { Instant, Monotonic } from "../platform/clock.ts";
import { type Lsn, lsnDistance, lsnMax, type Timeline } from "../postgres/lsn.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import {
  type Confirmer,
  type Conflicts,
  type NodeLook,
  type PrimaryLook,
  type Reception,
  type ReplicaLook,
  type ReplicationLook,
  type Sender,
  type Slot,
  STAGES,
  type Stage,
} from "./facts.ts";
import type { LagSamples } from "./samples.ts";

/** How far a confirmer is behind in one stage. */
export type Lag =
  /** Never 0: what it lacks grows with every write. */
  | { readonly kind: "disconnected" }
  /** Connected, as far as the confirmer tells, while the primary cannot be asked. */
  | { readonly kind: "unknown" }
  | {
      readonly kind: "known";
      readonly bytes: number;
      readonly ms: number;
      /** True when it was that far behind already when watching began. */
      readonly atLeast: boolean;
    };

/** What is known of a confirmer. */
export type ConfirmerView = Confirmer & {
  readonly connected: boolean;
  /** The primary's word for the connection; `disconnected`; `withdrawn`; `unknown` while no primary can be asked. */
  readonly state: string;
  readonly syncState: string | undefined;
  readonly lag: Readonly<Record<Stage, Lag>>;
  readonly slotView: Slot | undefined;
  /** From a replica's own side; undefined of a receiver, and where it could not be asked. */
  readonly reception: Reception | undefined;
  readonly replayPaused: boolean;
  readonly conflicts: Conflicts | undefined;
};

/** Something that is wrong, with a stable code and a remedy. */
export type ReplicationFault = {
  readonly code: string;
  /** The confirmer or node that it is about. */
  readonly of: string;
  readonly message: string;
  readonly remedy: string;
};

/** What a look comes to. */
export type ReplicationView = {
  readonly at: Instant;
  /** Nodes that take writes: one, if all is well. */
  readonly primaries: readonly string[];
  readonly timeline: Timeline | undefined;
  readonly end: Lsn | undefined;
  readonly nodes: readonly NodeLook[];
  readonly confirmers: readonly ConfirmerView[];
  readonly faults: readonly ReplicationFault[];
};

/** What counts as well. */
export type ReplicationPolicy = { readonly lagMsMax: number; readonly lagBytesMax: number };

/** What is judged. */
export type ReplicationFacts = {
  readonly look: ReplicationLook;
  readonly samples: Pick<LagSamples, "lagOf">;
  readonly now: Monotonic;
  /** All that could follow; one that is the primary now does not. */
  readonly confirmers: readonly Confirmer[];
};

/** A replica that heard nothing for so long is cut off or its upstream frozen: ours are told something every second. */
const SILENCE_MS_MAX = 5_000;
/** A slot that has so little left of its limit loses its WAL soon. */
const SAFE_SHARE_MIN = 0.2;

/** Judges. */
export function viewReplication(facts: ReplicationFacts, policy: ReplicationPolicy): ReplicationView {
  const { look } = facts;
  const primaries = look.nodes.filter((node) => node.kind === "primary");
  const [primary] = primaries;
  const confirmers = facts.confirmers
    .filter(({ name }) => !primaries.some((node) => node.name === name))
    .map((confirmer) => viewConfirmer(confirmer, primary, facts));
  return {
    at: look.at,
    primaries: primaries.map(({ name }) => name),
    timeline: primary?.timeline,
    end: primary?.end,
    nodes: look.nodes,
    confirmers,
    faults: [
      ...roleFaults(look, primaries),
      ...confirmers.flatMap((confirmer) => confirmerFaults(confirmer, primary, policy)),
      ...(primary === undefined ? [] : nameFaults(confirmers, primary)),
    ],
  };
}

function viewConfirmer(confirmer: Confirmer, primary: PrimaryLook | undefined, facts: ReplicationFacts): ConfirmerView {
  const replica = facts.look.nodes.find(
    (node): node is ReplicaLook =>
      node.kind === "replica" && confirmer.kind === "replica" && node.name === confirmer.name,
  );
  const sender = primary?.senders.find(({ name }) => sameName(name, confirmer.name));
  const slotView = primary?.slots.find(({ name }) => name === confirmer.slot);
  // Without a primary to ask, the confirmer's own word; it goes on saying "streaming" about a frozen one.
  const itself = replica?.reception?.status === "streaming" && (replica.reception.receivedAgoMs ?? 0) <= SILENCE_MS_MAX;
  const asked = primary !== undefined;
  const connected = asked ? sender !== undefined && sender.state !== "startup" : itself;
  return {
    ...confirmer,
    connected,
    state: connected ? (sender?.state ?? "unknown") : absentState(confirmer, asked || replica !== undefined),
    syncState: sender?.syncState,
    lag: lagsOf({ connected, primary, sender, replica }, facts),
    slotView,
    reception: replica?.reception,
    replayPaused: replica?.replayPaused ?? false,
    conflicts: replica?.conflicts,
  };
}

function absentState({ withdrawnBy }: Confirmer, isSeen: boolean): string {
  if (withdrawnBy !== undefined) return "withdrawn";
  return isSeen ? "disconnected" : "unknown";
}

type Ends = {
  readonly connected: boolean;
  readonly primary: PrimaryLook | undefined;
  readonly sender: Sender | undefined;
  readonly replica: ReplicaLook | undefined;
};

function lagsOf(ends: Ends, facts: ReplicationFacts): ConfirmerView["lag"] {
  const [write, flush, replay] = STAGES.map((stage) => lagOf(stage, ends, facts));
  const none: Lag = { kind: "unknown" };
  return { write: write ?? none, flush: flush ?? none, replay: replay ?? none };
}

function lagOf(stage: Stage, { connected, primary, sender, replica }: Ends, { samples, now }: ReplicationFacts): Lag {
  if (primary === undefined) return connected ? { kind: "unknown" } : { kind: "disconnected" };
  if (!connected) return { kind: "disconnected" };
  // The receiver reports what it flushed as replayed too: it replays nothing, and is asked about nothing there.
  const told = sender?.at[stage];
  const itself = replica?.at[stage];
  // Each knows some things first; positions only grow.
  const position = told === undefined ? itself : itself === undefined ? told : lsnMax(told, itself);
  const sampled = position === undefined ? undefined : samples.lagOf(position, now);
  if (position === undefined || sampled === undefined) return { kind: "unknown" };
  const bytes = Math.max(0, lsnDistance({ from: position, to: primary.end }));
  // Behind since before we watched: the server's own measure may know for how long.
  const ms = sampled.atLeast ? Math.max(sampled.ms, sender?.measuredMs[stage] ?? 0) : sampled.ms;
  return { kind: "known", bytes, ms, atLeast: sampled.atLeast };
}

function roleFaults(look: ReplicationLook, primaries: readonly PrimaryLook[]): readonly ReplicationFault[] {
  const faults: ReplicationFault[] = [];
  for (const node of look.nodes) {
    if (node.kind !== "unreachable") continue;
    faults.push({
      code: "node-unreachable",
      of: node.name,
      message: `${node.name} cannot be asked: ${node.message}`,
      remedy: `See whether it runs, and its log.`,
    });
  }
  const names = primaries.map(({ name }) => name).join(" and ");
  if (primaries.length > 1) {
    faults.push({
      code: "two-primaries",
      of: names,
      message: `${names} both take writes`,
      remedy: "Stop the one that the pooler does not lead to, at once, and keep its data: writes may be on one alone.",
    });
  }
  if (primaries.length === 0) {
    faults.push({
      code: "no-primary",
      of: "primary",
      message: "no node says that it takes writes",
      remedy: "If the primary is gone: what a failover would do and lose is to be known before anything is promoted.",
    });
  }
  return faults;
}

function confirmerFaults(
  confirmer: ConfirmerView,
  primary: PrimaryLook | undefined,
  policy: ReplicationPolicy,
): readonly ReplicationFault[] {
  const { name } = confirmer;
  const fault = (code: string, message: string, remedy: string): readonly ReplicationFault[] => [
    { code, of: name, message, remedy },
  ];
  const faults = [...connectionFaults(confirmer, fault), ...lagFaults(confirmer, policy, fault)];
  if (primary === undefined) return faults;
  const received = confirmer.reception?.timeline;
  if (received !== undefined && received !== primary.timeline) {
    const message = `${name} receives timeline ${received}, ${primary.name} is on timeline ${primary.timeline}`;
    faults.push(...fault("other-timeline", message, "It follows another history: make it anew from the primary's."));
  }
  const sender = primary.senders.find((each) => sameName(each.name, name));
  if (confirmer.kind === "receiver" && sender?.state === "streaming" && sender.at.flush === undefined) {
    const message = `${name} streams and confirms nothing: it does not have all that came before`;
    faults.push(...fault("confirms-nothing", message, "See lifeboat wal status. A backup ends it: lifeboat backup."));
  }
  return [...faults, ...slotFaults(confirmer, primary, fault)];
}

type MakeFault = (code: string, message: string, remedy: string) => readonly ReplicationFault[];

function connectionFaults(confirmer: ConfirmerView, fault: MakeFault): ReplicationFault[] {
  const { name, kind, reception } = confirmer;
  const faults: ReplicationFault[] = [];
  if (confirmer.state === "disconnected") {
    const what = kind === "receiver" ? "new commits are in no backup" : "it is further behind with every write";
    faults.push(...fault("disconnected", `${name} is not connected: ${what}`, `See whether it runs, and its log.`));
  } else if (confirmer.state === "withdrawn") {
    const message = `${name} takes no WAL: a failover of epoch ${confirmer.withdrawnBy} has withdrawn it`;
    faults.push(...fault("withdrawn", message, "Let the failover end, or look why it does not."));
  } else if (confirmer.connected && confirmer.state === "catchup") {
    faults.push(...fault("catching-up", `${name} catches up and confirms nothing yet`, "It goes on by itself."));
  }
  const silentMs = reception?.receivedAgoMs;
  if (confirmer.connected && silentMs !== undefined && silentMs > SILENCE_MS_MAX) {
    const message = `${name} heard nothing from its primary for ${describeDuration(silentMs)}`;
    faults.push(...fault("silent", message, "The primary is frozen, or the network between them is cut."));
  }
  if (confirmer.replayPaused) {
    const message = `replay is paused on ${name}: it receives and does not follow`;
    faults.push(...fault("replay-paused", message, RESUME));
  }
  return faults;
}

/** It pauses by itself, too, and is not to go on then. */
const RESUME =
  "On it and on its primary: SHOW max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and max_locks_per_transaction. Where it has less of one, it has paused for that, and would end if it went on: set it as on the primary and restart it. Else: SELECT pg_wal_replay_resume();";

function lagFaults(
  { name, kind, lag }: ConfirmerView,
  { lagMsMax, lagBytesMax }: ReplicationPolicy,
  fault: MakeFault,
): readonly ReplicationFault[] {
  const stage = kind === "receiver" ? "flush" : "replay";
  const behind = lag[stage];
  if (behind.kind !== "known" || (behind.ms <= lagMsMax && behind.bytes <= lagBytesMax)) return [];
  const least = behind.atLeast ? "at least " : "";
  const message = `${name} is behind in ${stage} by ${least}${describeDuration(behind.ms)} and ${describeByteSize(behind.bytes)}`;
  const remedy =
    kind === "receiver"
      ? "Look at the disk of its spool and the network to it."
      : "Look at its disk, at long queries on it that hold up replay, and at the network to it.";
  return fault("lagging", message, remedy);
}

function slotFaults({ name, slot, slotView, connected }: ConfirmerView, primary: PrimaryLook, fault: MakeFault) {
  const remake = `What keeps WAL for ${name} while it is away is this slot: start it again, or make it anew.`;
  if (slotView === undefined) return fault("slot-missing", `${primary.name} has no slot ${slot}`, remake);
  const { walStatus, keptBytes = 0, safeBytes } = slotView;
  const kept = `${describeByteSize(keptBytes)} kept`;
  if (walStatus === "lost" || walStatus === "unreserved") {
    const lost = walStatus === "lost" ? "has lost its WAL" : "loses its WAL at the next checkpoint";
    return fault("slot-lost", `slot ${slot} ${lost} (${kept})`, `Make ${name} anew: what it lacks is gone here.`);
  }
  if (safeBytes !== undefined && safeBytes < SAFE_SHARE_MIN * (keptBytes + safeBytes)) {
    const message = `slot ${slot} may keep ${describeByteSize(Math.max(0, safeBytes))} more before it loses its WAL (${kept})`;
    return fault("slot-nearly-full", message, `Bring ${name} back, or raise max_slot_wal_keep_size meanwhile.`);
  }
  const sender = primary.senders.find((each) => sameName(each.name, name));
  if (connected && sender !== undefined && slotView.pid !== sender.pid) {
    const message = `${name} is connected without its slot ${slot}: nothing is kept for it while it is away`;
    return fault("slot-unused", message, "Another connection holds the slot, or it was started without one.");
  }
  return [];
}

function nameFaults(confirmers: readonly Confirmer[], primary: PrimaryLook): readonly ReplicationFault[] {
  return confirmers.flatMap(({ name }) => {
    const pids = primary.senders.filter((each) => sameName(each.name, name)).map(({ pid }) => pid);
    if (pids.length < 2) return [];
    return [
      {
        code: "name-twice",
        of: name,
        message: `${pids.length} connections are named ${name} (processes ${pids.join(", ")}): either counts for it`,
        remedy: "Find out which is not it and end that one; a copy or a sandbox must not run under its name.",
      },
    ];
  });
}
