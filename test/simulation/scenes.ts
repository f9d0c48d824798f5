/**
 * What a safety rule is there for, made likely: chance alone brings some of it about in one seed of a thousand, and a rule whose
 * absence is noticed that rarely is hardly tested.
 */
import type { Chance } from "./chance.ts";
import { LEASE_MS } from "./ports.ts";
import type { PlannedFault, Script } from "./script.ts";

/** A script without the time at which everything is healed. */
export type Unhealed = Omit<Script, "healMs">;

/** Faults begin no earlier. */
export const FAULTS_FROM_MS = 700;
/** Of what lasts until everything is healed. */
const TO_THE_END_MS = 8_500;

/** A scene, and the share of all seeds that are one. */
type Scene = { readonly share: number; readonly set: (usual: Unhealed, chance: Chance) => Unhealed };

/** By the rules that they are for. */
const SCENES: readonly Scene[] = [
  { share: 0.04, set: unseenPair },
  { share: 0.04, set: vaultBehind },
  { share: 0.03, set: vaultAhead },
  { share: 0.06, set: halfARecord },
  { share: 0.03, set: gapInVault },
  { share: 0.02, set: repeatedWrites },
  { share: 0.02, set: copyOfReplica },
  { share: 0.04, set: restartedReceiver },
  { share: 0.03, set: lateOrder },
  { share: 0.04, set: lateRecord },
  { share: 0.02, set: asleepBeforeStart },
  { share: 0.02, set: threeNodes },
  { share: 0.02, set: busyCheckpointer },
];

/** A scene in its share of all seeds, else what was drawn. */
export function someScene(usual: Unhealed, chance: Chance): Unhealed | undefined {
  let drawn = chance.next();
  for (const { share, set } of SCENES) {
    if (drawn < share) return { ...set(usual, chance), destroyAtMs: undefined };
    drawn -= share;
  }
  return undefined;
}

/** A fault of a script. */
export function fault(name: string, atMs: number, durationMs: number): PlannedFault {
  return { name, atMs, durationMs };
}

/** Where the witness may confirm out of our sight, and a person has the replica promoted. */
export function unseen(settings: Script["settings"]): Script["settings"] {
  return { ...settings, durability: "quorum", leased: true, acceptsLoss: true, vaultBeside: undefined };
}

function quorum({ settings }: Unhealed): Script["settings"] {
  return { ...settings, durability: "quorum", vaultBeside: undefined };
}

/** B5: primary and vault go on together out of our sight. */
function unseenPair(usual: Unhealed): Unhealed {
  const faults = [fault("primary and vault cut off together", FAULTS_FROM_MS, TO_THE_END_MS)];
  return { ...usual, settings: unseen(usual.settings), faults };
}

/** B1: the replica has more of its segment than the vault when the primary is lost, and asks the archive for that segment. */
function vaultBehind(usual: Unhealed, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 3_000);
  const faults = [
    fault("vault cut off", atMs, chance.between(500, 800)),
    fault("primary killed", atMs + chance.between(200, 500), 0),
  ];
  return { ...usual, settings: quorum(usual), faults };
}

/** The gap that must be filled and replayed: the vault has what the replica lacks. */
function vaultAhead(usual: Unhealed, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 3_000);
  const faults = [
    fault("replica cut off", atMs, chance.between(500, 800)),
    fault("primary killed", atMs + chance.between(200, 500), 0),
  ];
  return { ...usual, settings: quorum(usual), faults };
}

/** B8, and B3 where the one that takes over is lost too: the vault has half a record that nobody else has. */
function halfARecord(usual: Unhealed, chance: Chance): Unhealed {
  const name = chance.pick(["primary's disk lost", "primary lost"]);
  const faults = [fault(`${name} while the vault has half a record`, chance.between(FAULTS_FROM_MS, 3_000), 3_000)];
  return {
    ...usual,
    settings: { ...quorum(usual), nodes: 2 },
    faults,
    afterPromotion: chance.pick(["nothing", "destroy", "destroy"]),
  };
}

/** B9. */
function gapInVault(usual: Unhealed, chance: Chance): Unhealed {
  const name = "vault's WAL has a gap while the replica is away, then the primary is lost";
  return { ...usual, settings: quorum(usual), faults: [fault(name, chance.between(FAULTS_FROM_MS, 3_000), 4_000)] };
}

/** B11. */
function repeatedWrites(usual: Unhealed, chance: Chance): Unhealed {
  const name = "replica and vault away, the primary restarts and clients repeat, then it is lost";
  return { ...usual, settings: quorum(usual), faults: [fault(name, chance.between(FAULTS_FROM_MS, 2_000), 4_500)] };
}

/** B12. */
function copyOfReplica(usual: Unhealed, chance: Chance): Unhealed {
  const name = "a copy of the replica starts while replica and vault are away, then the primary is lost";
  return { ...usual, settings: quorum(usual), faults: [fault(name, chance.between(FAULTS_FROM_MS, 3_000), 4_000)] };
}

/** A new primary whose checkpointer learns late that commits wait, and that is lost with what nobody else has. */
function busyCheckpointer(usual: Unhealed, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 2_500);
  const faults = [
    fault("primary killed", atMs, 6_000),
    fault("receiver frozen", atMs + chance.between(300, 1_200), chance.between(2_000, 3_000)),
  ];
  const settings = { ...quorum(usual), nodes: 2 as const, checkpointersBusy: true };
  return { ...usual, settings, faults, cuts: [], holdBackAt: undefined, afterPromotion: "destroy" };
}

/** A withdrawal that is durable: the receiver restarts and the old primary returns while the replica still replays. */
function restartedReceiver(usual: Unhealed, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 3_000);
  const faults = [
    fault("primary cut off", atMs, chance.between(3_000, 4_500)),
    fault("replay lags", atMs - 300, 4_000),
  ];
  const settings = { ...quorum(usual), leased: false };
  // Before the gap is filled it would be noticed that the receiver is not withdrawn.
  const step = chance.pick(["fill-gap", "await-replay", "note-promotion"]);
  return { ...usual, settings, faults, afterWithdrawal: { step, primaryReturns: true } };
}

/** Of two replicas one is told later than the other to stop, and the old primary returns in between: it may confirm alone. */
function threeNodes(usual: Unhealed, chance: Chance): Unhealed {
  const atMs = chance.between(FAULTS_FROM_MS, 3_000);
  const faults = [fault("primary cut off", atMs, 4_000), fault("replica's links slow", atMs + 1_000, 3_000)];
  const settings = { ...quorum(usual), nodes: 3 as const };
  return { ...usual, settings, faults, afterWithdrawal: { step: "withdraw-witness", primaryReturns: true } };
}

/** Epochs: whoever sent an order is gone, others have acted, and it arrives. */
function lateOrder(usual: Unhealed, chance: Chance): Unhealed {
  const step = chance.pick(["note-promotion", "note-primary", "promote", "witness-follows"]);
  const atMs = chance.between(FAULTS_FROM_MS, 2_500);
  const faults = [fault("primary cut off from all but clients", atMs, chance.between(1_800, 2_600))];
  // Others act only when the lease of who is gone has run out.
  const holdBackAt = { step, delayMs: LEASE_MS + chance.between(0, 3_500) };
  return { ...usual, faults, cuts: [{ step, at: "midway" }], holdBackAt };
}

/** The same of the record: that the old primary is to serve again arrives when it has been lost and another one serves. */
function lateRecord(usual: Unhealed, chance: Chance): Unhealed {
  const faults = [
    fault("replica's machine lost power", 700, 1_200),
    fault("primary killed", 800, 0),
    fault("primary killed", chance.between(3_700, 4_500), 0),
  ];
  const holdBackAt = { step: "note-primary", delayMs: chance.between(3_500, 6_000) };
  return { ...usual, settings: { ...quorum(usual), nodes: 2 }, faults, holdBackAt };
}

/**
 * The same of a node, where nobody's confirmation is needed: a controller is about to start the killed primary again, and sleeps past
 * its lease right there. It wakes when another one, which has started that node itself, has stopped it to hand its role over.
 */
function asleepBeforeStart(usual: Unhealed, chance: Chance): Unhealed {
  const handedOverMs = chance.between(5_300, 6_000);
  const faults = [
    fault("replica cut off", FAULTS_FROM_MS, chance.between(1_500, 2_000)),
    fault("primary killed", FAULTS_FROM_MS + 100, 0),
    fault("switchover asked for", handedOverMs, 0),
    fault("replay lags", handedOverMs - 200, 3_000),
  ];
  const settings = { ...usual.settings, durability: "async" as const, nodes: 2 as const, vaultBeside: undefined };
  const asleepAt = { step: "start-primary", untilStep: "stop-primary" };
  const nothingElse = {
    cuts: [],
    holdBackAt: undefined,
    afterWithdrawal: undefined,
    afterPromotion: "nothing",
  } as const;
  return { ...usual, ...nothingElse, settings, faults, asleepAt };
}
