/** What is to happen in a seed, drawn from its chance before it begins: settings, faults, where a controller is cut. */

import { STEP_EFFECTS } from "../../src/failover/plan.ts";
import type { Durability } from "../../src/failover/ports.ts";
import type { Chance } from "./chance.ts";
import { FAULTS } from "./faults.ts";

/** Ends the controller at a line of the journal, or some time after it. */
export type Cut = {
  readonly step: string;
  /** `intent`: decided and nothing done; `outcome`: done and not told; `midway`: some time in between. */
  readonly at: "intent" | "outcome" | "midway";
};

/** A fault and its time. */
export type PlannedFault = { readonly name: string; readonly atMs: number; readonly durationMs: number };

/** A seed's script. */
export type Script = {
  readonly durability: Durability;
  readonly leased: boolean;
  readonly acceptsLoss: boolean;
  readonly poolers: number;
  readonly faults: readonly PlannedFault[];
  readonly cuts: readonly Cut[];
  /** An order of this step stays on its way until others have acted. */
  readonly holdBackAt: string | undefined;
  /** Receiver and replica are restarted, and the old primary returns, after the withdrawal: behind this step. */
  readonly afterWithdrawal: { readonly step: string; readonly primaryReturns: boolean } | undefined;
  readonly afterPromotion: "nothing" | "crash" | "destroy";
  /** The candidate crashes when it has been told to become the primary, and often nobody ever sees the old one's disk again. */
  readonly candidateLost: boolean;
  readonly destroyAtMs: number | undefined;
};

/** Faults happen in this time. */
export const FAULTS_FROM_MS = 700;
const FAULTS_UNTIL_MS = 4_500;
/** Everything is healed then. */
export const HEAL_MS = 8_500;

/** Happens only where a candidate is lost in its promotion: seeds of its own are for it. */
const LOST_CANDIDATE_STEP = "start-candidate";
const LOST_CANDIDATE_EVERY = 37;
const STEPS = Object.keys(STEP_EFFECTS).filter((step) => step !== LOST_CANDIDATE_STEP);
const FAULT_NAMES = Object.keys(FAULTS);
const LOSSES = [
  "primary killed",
  "primary's machine lost power",
  "primary frozen",
  "primary cut off",
  "primary cut off from all but clients",
] as const;
/** Steps behind which the receiver stays withdrawn. */
const WITHDRAWN_STEPS = ["withdraw-witness", "fill-gap", "await-replay", "note-promotion"] as const;
/** Orders that are dangerous when they arrive late. */
const ORDERS = ["note-action", "note-promotion", "note-primary", "note-joined", "witness-follows", "promote", "rejoin"];

/** Draws a script. Seeds take turns at the steps that are cut. */
export function drawScript(seed: number, chance: Chance): Script {
  const durability = chance.often(0.78) ? "quorum" : chance.often(0.4) ? "strict" : "async";
  const usual: Script = {
    durability,
    leased: chance.often(0.5),
    acceptsLoss: durability === "async" || chance.often(0.25),
    poolers: chance.whole(1, 2),
    faults: someFaults(chance),
    cuts: [],
    holdBackAt: chance.often(0.2) ? chance.pick(ORDERS) : undefined,
    afterWithdrawal: chance.often(0.35)
      ? { step: chance.pick(WITHDRAWN_STEPS), primaryReturns: chance.often(0.7) }
      : undefined,
    afterPromotion: chance.pick(["nothing", "nothing", "nothing", "crash", "destroy"]),
    candidateLost: false,
    destroyAtMs: chance.often(0.1) ? chance.between(FAULTS_FROM_MS, FAULTS_UNTIL_MS) : undefined,
  };
  if (seed % LOST_CANDIDATE_EVERY === 0) return withLostCandidate(usual, chance);
  if (chance.often(0.04)) return withUnseenPair(usual);
  if (!chance.often(0.7)) return usual;
  const step = STEPS[seed % STEPS.length] ?? "promote";
  return withCut(usual, { step, at: chance.pick(["intent", "outcome", "midway"]) }, chance);
}

function someFaults(chance: Chance): PlannedFault[] {
  const faults = Array.from({ length: chance.whole(1, 2) }, () => ({
    name: chance.pick(FAULT_NAMES),
    atMs: chance.between(FAULTS_FROM_MS, FAULTS_UNTIL_MS),
    durationMs: chance.often(0.3) ? chance.between(100, 900) : chance.between(900, 4_500),
  }));
  return faults;
}

/** What rule B5 is for: primary and vault go on together out of our sight, and a person has the replica promoted. */
function withUnseenPair(usual: Script): Script {
  const faults = [fault("primary and vault cut off together", FAULTS_FROM_MS, HEAL_MS)];
  return { ...usual, durability: "quorum", leased: true, acceptsLoss: true, faults, destroyAtMs: undefined };
}

/** The primary is gone, its candidate crashes half-way, and whoever starts it again is cut there. */
function withLostCandidate(usual: Script, chance: Chance): Script {
  const loss = fault(chance.pick(LOSSES), chance.between(FAULTS_FROM_MS, 2_000), HEAL_MS);
  const cuts: readonly Cut[] = [{ step: LOST_CANDIDATE_STEP, at: chance.pick(["intent", "outcome", "midway"]) }];
  const few = usual.faults.slice(0, chance.whole(0, 1));
  return { ...usual, candidateLost: true, destroyAtMs: undefined, cuts, faults: [...few, loss] };
}

function fault(name: string, atMs: number, durationMs: number): PlannedFault {
  return { name, atMs, durationMs };
}

/** What makes the step happen, with whatever else was drawn. */
function withCut(usual: Script, cut: Cut, chance: Chance): Script {
  const atMs = chance.between(FAULTS_FROM_MS, 2_000);
  const loss = fault(chance.pick(LOSSES), atMs, chance.between(2_500, 5_500));
  const few = usual.faults.slice(0, chance.whole(0, 1));
  const script = { ...usual, cuts: [cut], faults: [...few, loss] };
  switch (cut.step) {
    case "check-logins":
    case "stop-primary":
      return { ...script, faults: [fault("switchover asked for", atMs, 0), ...few] };
    case "outwait-grant":
      return {
        ...script,
        durability: "quorum",
        leased: true,
        acceptsLoss: true,
        faults: [fault("primary and vault cut off together", FAULTS_FROM_MS, 7_500), ...few],
      };
    case "start-primary":
      return {
        ...script,
        faults: [fault("replica's machine lost power", atMs, 5_000), fault("primary killed", atMs + 100, 0), ...few],
      };
    case "name-confirmers":
    case "receive-from":
      // An action that is given up half-way, and a primary that is back: it is reinstated.
      return {
        ...script,
        cuts: [{ step: "see-receivers-gone", at: "intent" }, cut],
        faults: [fault("primary cut off from all but clients", atMs, chance.between(1_900, 2_600))],
      };
    default:
      return script;
  }
}
