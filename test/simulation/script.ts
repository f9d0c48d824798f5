/** What is to happen in a seed, drawn from its chance before it begins: settings, faults, where a controller is cut. */

import { STEP_EFFECTS } from "../../src/failover/plan.ts";
import { Chance } from "./chance.ts";
import { FAULTS } from "./faults.ts";
import { FAULTS_FROM_MS, fault, someScene, type Unhealed, unseen } from "./scenes.ts";
import type { Settings } from "./stack.ts";

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
  readonly settings: Omit<Settings, "without">;
  readonly faults: readonly PlannedFault[];
  readonly cuts: readonly Cut[];
  /** An order of this step stays on its way until others have acted. */
  readonly holdBackAt: { readonly step: string; readonly delayMs: number } | undefined;
  /** A controller falls asleep right before an order of this step, and wakes when another one has done its own step. */
  readonly asleepAt?: { readonly step: string; readonly untilStep: string } | undefined;
  /** Receiver and replica are restarted, and the old primary returns, after the withdrawal: behind this step. */
  readonly afterWithdrawal: { readonly step: string; readonly primaryReturns: boolean } | undefined;
  readonly afterPromotion: "nothing" | "crash" | "destroy";
  /** The candidate crashes when it has been told to become the primary, and often nobody ever sees the old one's disk again. */
  readonly candidateLost: boolean;
  readonly destroyAtMs: number | undefined;
  /** Everything is healed then: a while after the last of the faults was to end. */
  readonly healMs: number;
};

/** Faults begin before. */
const FAULTS_UNTIL_MS = 4_500;
/** Healed no later; what lasts until then lasts so long that everybody has done what can be done with it there. */
const HEAL_MS_MAX = 8_500;
/** Between the end of the last fault and the time when everything is healed: what was begun may go on meanwhile. */
const AFTERMATH_MS = 900;
/** Also of what has no end of its own, for it to be found out and dealt with. */
const FAULT_MS_MIN = 2_000;

/** Happens only where a candidate is lost in its promotion: seeds of its own are for it. */
const LOST_CANDIDATE_STEP = "start-candidate";
const LOST_CANDIDATE_EVERY = 37;
/** Happens only where a person has changed a primary's settings by hand, which nobody does here. */
export const BY_HAND_STEP = "note-unkept";
const STEPS = Object.keys(STEP_EFFECTS).filter((step) => step !== LOST_CANDIDATE_STEP && step !== BY_HAND_STEP);
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
/** Steps of what is done when a party has come back. */
const LATE_STEPS = ["name-confirmers", "receive-from", "rejoin", "note-joined"];
/** Many a cut there is never come to: replicas join and are told whom to follow after all else. */
const SELDOM_REACHED = ["receive-from", "note-joined"];
/** Orders that are dangerous when they arrive late. */
const ORDERS = ["note-action", "note-promotion", "note-primary", "note-joined", "witness-follows", "promote", "rejoin"];

/** Draws a seed's script. Seeds take turns at the steps that are cut. */
export function drawScript(seed: number): Script {
  const drawn = drawAll(seed, new Chance(seed));
  return { ...drawn, healMs: healMsOf(drawn) };
}

function healMsOf({ faults, cuts, destroyAtMs = 0 }: Unhealed): number {
  if (cuts.some(({ step }) => LATE_STEPS.includes(step))) return HEAL_MS_MAX;
  const ends = faults.map(({ atMs, durationMs }) => atMs + Math.max(durationMs, FAULT_MS_MIN));
  return Math.min(HEAL_MS_MAX, Math.max(...ends, destroyAtMs + FAULT_MS_MIN) + AFTERMATH_MS);
}

function drawAll(seed: number, chance: Chance): Unhealed {
  const usual: Unhealed = {
    settings: someSettings(chance),
    faults: someFaults(chance),
    cuts: [],
    holdBackAt: chance.often(0.2) ? { step: chance.pick(ORDERS), delayMs: chance.between(300, 4_000) } : undefined,
    afterWithdrawal: chance.often(0.35)
      ? { step: chance.pick(WITHDRAWN_STEPS), primaryReturns: chance.often(0.7) }
      : undefined,
    afterPromotion: chance.pick(["nothing", "nothing", "nothing", "crash", "destroy"]),
    candidateLost: false,
    destroyAtMs: chance.often(0.1) ? chance.between(FAULTS_FROM_MS, FAULTS_UNTIL_MS) : undefined,
  };
  if (seed % LOST_CANDIDATE_EVERY === 0) return withLostCandidate(usual, chance);
  const scene = someScene(usual, chance);
  if (scene !== undefined) return scene;
  const step = STEPS[seed % STEPS.length] ?? "promote";
  if (!SELDOM_REACHED.includes(step) && !chance.often(0.7)) return usual;
  return withCut(usual, { step, at: chance.pick(["intent", "outcome", "midway"]) }, chance);
}

function someSettings(chance: Chance): Script["settings"] {
  const durability = chance.often(0.78) ? "quorum" : chance.often(0.4) ? "strict" : "async";
  const nodes = chance.often(0.25) ? 3 : 2;
  return {
    durability,
    leased: chance.often(0.5),
    acceptsLoss: durability === "async" || chance.often(0.25),
    poolers: chance.whole(1, 2),
    nodes,
    vaultBeside: chance.often(0.08) ? chance.pick(["a", "b"]) : undefined,
    diskFull: chance.often(0.4) ? "failover" : "hold",
  };
}

function someFaults(chance: Chance): PlannedFault[] {
  const faults = Array.from({ length: chance.whole(1, 2) }, () => ({
    name: chance.pick(FAULT_NAMES),
    atMs: chance.between(FAULTS_FROM_MS, FAULTS_UNTIL_MS),
    durationMs: chance.often(0.3) ? chance.between(100, 900) : chance.between(900, 4_500),
  }));
  return faults;
}

/** The primary is gone, its candidate crashes half-way, and whoever starts it again is cut there. */
function withLostCandidate(usual: Unhealed, chance: Chance): Unhealed {
  const loss = fault(chance.pick(LOSSES), chance.between(FAULTS_FROM_MS, 2_000), HEAL_MS_MAX);
  const cuts: readonly Cut[] = [{ step: LOST_CANDIDATE_STEP, at: chance.pick(["intent", "outcome", "midway"]) }];
  const few = usual.faults.slice(0, chance.often(0.75) ? 1 : 0);
  return { ...usual, candidateLost: true, destroyAtMs: undefined, cuts, faults: [...few, loss] };
}

/** What makes the step happen, with whatever else was drawn. */
function withCut(usual: Unhealed, cut: Cut, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 2_000);
  const loss = fault(chance.pick(LOSSES), atMs, chance.between(2_500, 5_500));
  const few = usual.faults.slice(0, chance.often(0.75) ? 1 : 0);
  const script = { ...usual, cuts: [cut], faults: [...few, loss] };
  switch (cut.step) {
    case "check-logins":
    case "stop-primary":
      return { ...script, faults: [fault("switchover asked for", atMs, 0), ...few] };
    case "outwait-grant":
      return {
        ...script,
        settings: unseen(script.settings),
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
