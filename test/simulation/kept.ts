/**
 * Scenarios that once found something: what was drawn, not the seed that drew it, which draws something else as soon as there is
 * another fault or step. What chance is left is tried many times, and what the scenario was kept for must still occur.
 */
import type { Script } from "./script.ts";
import { PLAIN } from "./stack.ts";

/** A scenario. */
export type Kept = {
  readonly found: string;
  readonly script: Script;
  /** Counted at least once, or it is no longer the scenario that it was. */
  readonly shows: readonly string[];
};

/** A script in which nothing happens. */
const QUIET: Script = {
  settings: PLAIN,
  faults: [],
  cuts: [],
  holdBackAt: undefined,
  afterWithdrawal: undefined,
  afterPromotion: "nothing",
  candidateLost: false,
  destroyAtMs: undefined,
  healMs: 8_500,
};

/** Not drawn then: has the archive be asked for more than it once was by chance. */
const VAULT_AHEAD = { name: "replica cut off", atMs: 500, durationMs: 900 };
const SEGMENT_TAKEN = "a segment from the archive took the place of a standby's own";
const TOLD_LATE = "an old primary told later what the new one began with";

/** All of them. */
export const KEPT: readonly Kept[] = [
  {
    found: "a sync of what a segment from the archive has replaced leaves a position without its bytes",
    script: {
      ...QUIET,
      settings: { ...PLAIN, durability: "strict", leased: true, poolers: 2 },
      faults: [VAULT_AHEAD, { name: "primary killed", atMs: 827, durationMs: 4_762 }],
      cuts: [{ step: "withdraw-witness", at: "midway" }],
      afterPromotion: "crash",
    },
    shows: [SEGMENT_TAKEN, "new primary lost right after its promotion"],
  },
  {
    found: "the same, in quorum",
    script: {
      ...QUIET,
      settings: { ...PLAIN, poolers: 2 },
      faults: [
        VAULT_AHEAD,
        { name: "primary cut off", atMs: 2_235, durationMs: 560 },
        { name: "primary killed", atMs: 704, durationMs: 4_899 },
      ],
      cuts: [{ step: "await-replay", at: "intent" }],
    },
    shows: [SEGMENT_TAKEN, "cut at await-replay, intent"],
  },
  {
    found: "in strict, a hole before the vault's WAL failed every promotion of a replica that had everything",
    script: {
      ...QUIET,
      settings: { ...PLAIN, durability: "strict", leased: true, poolers: 2 },
      faults: [
        {
          name: "vault's WAL has a gap while the replica is away, then the primary is lost",
          atMs: 1_540,
          durationMs: 2_107,
        },
      ],
      afterWithdrawal: { step: "fill-gap", primaryReturns: false },
      afterPromotion: "destroy",
    },
    shows: ["gap in the vault's WAL", "new primary lost right after its promotion"],
  },
  {
    found: "what the old primary may still tell was looked for on the new one's destroyed disk",
    script: {
      ...QUIET,
      faults: [
        { name: "primary cut off from all but clients", atMs: 2_923, durationMs: 1_174 },
        { name: "primary frozen", atMs: 1_822, durationMs: 3_517 },
      ],
      cuts: [{ step: "note-joined", at: "midway" }],
      afterPromotion: "destroy",
    },
    shows: [TOLD_LATE, "disk destroyed"],
  },
  {
    found: "the same, with a controller killed in between",
    script: {
      ...QUIET,
      faults: [
        { name: "primary cut off from all but clients", atMs: 2_426, durationMs: 1_445 },
        { name: "primary frozen", atMs: 1_888, durationMs: 5_059 },
      ],
      cuts: [{ step: "drop-dead", at: "midway" }],
      afterPromotion: "destroy",
    },
    shows: [TOLD_LATE, "disk destroyed", "cut at drop-dead, midway"],
  },
  {
    found: "the same, of a primary that was cut off before it froze",
    script: {
      ...QUIET,
      settings: { ...PLAIN, poolers: 2, acceptsLoss: true },
      faults: [
        { name: "primary frozen", atMs: 2_401, durationMs: 3_608 },
        { name: "primary cut off", atMs: 1_908, durationMs: 2_761 },
      ],
      afterPromotion: "destroy",
    },
    shows: ["disk destroyed"],
  },
  {
    found: "a replica of a primary that had just died was made anew of a vault that lacked what only it had confirmed",
    script: {
      ...QUIET,
      settings: { ...PLAIN, poolers: 2 },
      faults: [
        {
          name: "vault's WAL has a gap while the replica is away, then the primary is lost",
          atMs: 1_939,
          durationMs: 2_006,
        },
        { name: "vault's machine lost power", atMs: 1_174, durationMs: 3_421 },
      ],
      afterWithdrawal: { step: "await-replay", primaryReturns: false },
      afterPromotion: "crash",
    },
    shows: ["gap in the vault's WAL", "disk destroyed"],
  },
  {
    found: "with the primary's disk lost, nobody started a replica that had more than the vault",
    script: {
      ...QUIET,
      settings: { ...PLAIN, leased: true },
      faults: [
        { name: "vault's machine lost power", atMs: 2_315, durationMs: 3_594 },
        { name: "replica's machine lost power", atMs: 3_016, durationMs: 1_151 },
      ],
      holdBackAt: { step: "note-joined", delayMs: 2_000 },
      destroyAtMs: 3_887,
    },
    shows: ["disk destroyed", "a replica is started as it is: its primary does not answer"],
  },
  {
    found: "of two replicas the one that was not chosen had confirmed more by the time it stopped receiving",
    script: {
      ...QUIET,
      settings: { ...PLAIN, nodes: 3 },
      faults: [
        { name: "primary cut off", atMs: 1_500, durationMs: 4_000 },
        { name: "replica's links slow", atMs: 2_500, durationMs: 3_000 },
      ],
      afterWithdrawal: { step: "withdraw-witness", primaryReturns: true },
    },
    shows: ["old primary returns during the action"],
  },
];
