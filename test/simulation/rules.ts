/** The safety rules that the simulation can go without, to show that it would notice. */

/** A rule, by what happens without it. */
export const RULES = {
  withdraw: "the receiver says that it is withdrawn and goes on confirming",
  "withdraw durability": "a receiver that restarts has forgotten that it was withdrawn, and the epochs it saw",
  "epoch check": "nobody refuses orders of an epoch that is over",
  "epoch at the node": "each controller remembers for itself what it told a node, and no other one knows",
  "epoch where it is carried out": "a machine's epochs are compared before it is asked, and not when it acts",
  "gap fill": "WAL that only the vault has is said to be none",
  B1: "a partial segment is served whenever it is asked for, however short",
  B3: "on a new timeline the receiver counts what it had beyond the switch point",
  B5: "the receiver confirms without a grant",
  B8: "the flushed position is taken for the end of a record",
  B9: "the receiver confirms beyond a gap, and says that there is none",
  B10: "a sandbox puts the history of a timeline of its own into the vault",
  "B11, repeats": "a write that is repeated and finds its key there is told to be done, without waiting for anybody",
  "B11, cancelled waits": "a commit whose wait was cancelled is taken for one that was acknowledged",
  B12: "a copy of a replica starts with its name and its upstream",
  fence: "a server is said to be down that is not",
  "names of a standby":
    "a standby has no confirmers' names before it is a candidate, and its checkpointer learns of them late",
  "replay wait": "nobody waits until the standby has replayed what the vault holds",
} as const;

/** One of them. */
export type Rule = keyof typeof RULES;

/** All of them. */
export const RULE_NAMES = Object.keys(RULES) as readonly Rule[];
