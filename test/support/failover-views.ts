/** What a stack of two nodes and a witness looks like to a controller, well unless said otherwise. */
import type { FailoverPolicy } from "../../src/failover/decide.ts";
import { type Memory, type NodeRound, type Observation, remember } from "../../src/failover/observation.ts";
import type {
  ClusterRecord,
  ConfirmerView,
  Epoch,
  NodeProbe,
  NodeView,
  WitnessView,
} from "../../src/failover/ports.ts";
import type { Monotonic } from "../../src/platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../../src/postgres/lsn.ts";

/** A policy with round numbers. */
export const POLICY: FailoverPolicy = {
  automatic: true,
  silentMs: 3_000,
  refusedMs: 100,
  startingMs: 10_000,
  stuckMs: 5_000,
  diskFull: "hold",
  candidateFreeBytesMin: 1_000,
  viewMaxAgeMs: 2_000,
  grants: "leased",
  acceptLoss: undefined,
};

/** The record: a is the primary of reign 7 on timeline 3, b has joined. */
export const RECORD: ClusterRecord = {
  systemId: "1" as SystemId,
  primary: "a",
  reign: 7 as Epoch,
  timeline: 3 as Timeline,
  durability: "quorum",
  joined: ["b"],
  action: undefined,
  maintenance: false,
};

/** What a primary does that does as its record says. */
const NAMES = {
  async: "",
  quorum: "ANY 1 (b, lifeboat_vault_e7)",
  strict: "ANY 2 (b, lifeboat_vault_e7)",
} as const satisfies Readonly<Record<ClusterRecord["durability"], string>>;

type PrimaryRole = Extract<NodeView["role"], { kind: "primary" }>;
type StandbyRole = Extract<NodeView["role"], { kind: "standby" }>;

const BASE = {
  systemId: RECORD.systemId,
  timeline: RECORD.timeline,
  synchronousNames: NAMES.quorum,
  cloning: false,
  freeBytes: 1_000_000,
  hindrances: [],
} as const;

/** Somebody who confirms. */
export function confirmer(applicationName: string, flushed = 1_000): ConfirmerView {
  return { applicationName, streaming: true, flushed: BigInt(flushed) as Lsn };
}

/** A primary's answer. */
export function primaryAnswer(role: Partial<PrimaryRole> = {}, view: Partial<NodeView> = {}): NodeProbe {
  const usual: PrimaryRole = {
    kind: "primary",
    flushed: 1_000n as Lsn,
    timelineStart: 500n as Lsn,
    write: { kind: "written" },
    confirmers: [confirmer("b"), confirmer("lifeboat_vault_e7")],
    synchronousCommit: "on",
  };
  return { kind: "answered", view: { ...BASE, role: { ...usual, ...role }, ...view } };
}

/** A standby's answer. */
export function standbyAnswer(role: Partial<StandbyRole> = {}, view: Partial<NodeView> = {}): NodeProbe {
  const usual: StandbyRole = {
    kind: "standby",
    flushed: 1_000n as Lsn,
    replayed: 1_000n as Lsn,
    replayIdle: true,
    receiver: { kind: "none" },
    upstream: true,
  };
  return { kind: "answered", view: { ...BASE, role: { ...usual, ...role }, ...view } };
}

/** The witness's answer. */
export function witnessAnswer(view: Partial<WitnessView> = {}): WitnessView {
  return {
    epoch: 7 as Epoch,
    systemId: RECORD.systemId,
    mode: { kind: "following", upstream: "a", reign: 7 as Epoch, streaming: false },
    held: { timeline: RECORD.timeline, from: 0n as Lsn, flushed: 1_000n as Lsn, recordEnd: 1_000n as Lsn },
    receivedAgoMs: undefined,
    mayConfirm: true,
    ticket: "0",
    ...view,
  };
}

/** What one round saw. */
export type SeenRound = {
  readonly atMs: number;
  readonly a?: NodeProbe;
  readonly b?: NodeProbe;
  /** null: it does not answer. */
  readonly witness?: WitnessView | null;
  /** What the record says from then on. */
  readonly record?: Partial<ClusterRecord>;
};

/** Folds rounds into an observation, made right after the last one. */
export function observe(rounds: readonly SeenRound[], record: Partial<ClusterRecord> = {}): Observation {
  let memory: Memory | undefined;
  let nowMs = 0;
  let told = record;
  for (const round of rounds) {
    told = { ...told, ...round.record };
    const at = round.atMs as Monotonic;
    const seen = (probe: NodeProbe): NodeRound => ({ sentAt: at, at, probe });
    const view = round.witness === null ? undefined : (round.witness ?? witnessAnswer());
    const synchronousNames = NAMES[told.durability ?? RECORD.durability];
    const nodes = new Map([
      ["a", seen(round.a ?? primaryAnswer({}, { synchronousNames }))],
      ["b", seen(round.b ?? standbyAnswer())],
    ]);
    memory = remember(memory, { record: { ...RECORD, ...told }, nodes, witness: { sentAt: at, at, view } });
    nowMs = round.atMs;
  }
  if (memory === undefined) throw new Error("an observation needs a round");
  return { ...memory, now: nowMs as Monotonic };
}

/** The same rounds at 0, and then at each of these times. */
export function lasting(seen: Omit<SeenRound, "atMs">, ...timesMs: readonly number[]): readonly SeenRound[] {
  return [{ atMs: -1_000 }, ...[0, ...timesMs].map((atMs) => ({ atMs, ...seen }))];
}
