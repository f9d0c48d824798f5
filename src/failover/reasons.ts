/** Why a decision came out as it did: codes for programs, with the node and the facts they are about. */
import type { NodeName } from "./ports.ts";

/** Every reason there is, and what it says to an operator. */
export const REASONS = {
  "not-watched": "nothing was seen of it lately",
  "nobody-listens": "its machine answers and nobody listens on its port",
  silent: "it does not answer",
  starting: "it is starting or recovering (57P03)",
  error: "it answers with an error, so it is alive",
  stuck: "it takes new sessions, and a write with its sync does not end",
  "write-failed": "it is alive and a write on it fails",
  "nobody-answers": "no node and no witness answers: it is we who are cut off",
  "no-node-answers":
    "no node answers, and none refuses: this machine may be too busy to look, or cut off from them. Where both are gone for good, restore from the vault (lifeboat points)",
  "still-heard": "somebody else received from the primary after we lost it: views disagree",
  "foreign-system": "it is another database cluster",
  "foreign-timeline": "it is on another timeline than the record says",
  "primary-in-recovery": "the node that should be the primary is a standby",
  "second-primary":
    "it is a primary that nobody here has promoted, and acknowledges writes: which node's writes stay is for you to say",
  "rejoin-refused": "it is down and is not made to follow by itself",
  "confirmers-missing": "commits wait: fewer confirmers are connected than a commit needs",
  "other-durability": "its synchronous_standby_names are not what the record says",
  "commits-not-synced":
    "its synchronous_commit is below on: commits are acknowledged before a confirmer has synced them",
  "waited-for-fewer":
    "it was seen to acknowledge with fewer confirmers than its durability says: that is promised again when it is set again (lifeboat durability)",
  "replica-not-connected": "it does not stream from the primary",
  "name-used-twice": "two connections confirm under its name",
  "witness-not-connected": "the vault's receiver does not confirm",
  "witness-silent": "the vault's receiver does not answer",
  "witness-hole": "the vault's WAL begins after the end of the candidate's",
  maintenance: "failover is paused by the operator",
  "automatic-off": "the policy leaves it to a person",
  "candidate-silent": "it does not answer",
  "candidate-error": "it is alive and lets nobody of ours look: it cannot take over",
  "parameters-too-small": "it has less of these than the primary had: it pauses replay, and cannot be promoted",
  "no-alter-system": "allow_alter_system is off: it can be told nothing",
  "replay-delayed": "it replays late (recovery_min_apply_delay): a failover has it hurry, and clients wait for that",
  "replay-paused": "somebody has paused its replay: a failover resumes it, and clients wait for that",
  "never-joined": "it was never seen streaming from this primary",
  cloning: "it is still being made",
  "not-a-standby": "it is no standby",
  "little-room": "its disk is nearly full",
  "not-healthy": "a switchover needs a primary that is well",
  "is-the-primary": "it is the primary already",
  "replay-behind": "it has much WAL still to replay: clients would wait for it",
  "no-candidate": "no node can take over",
  "promoted-already": "it was promoted by what was cut short afterwards: that is finished, and nobody else takes over",
  "loss-possible": "acknowledged commits may be missing on it",
  "no-daemon": "no daemon runs: nothing is done by itself until one does (lifeboat up)",
  "not-counted":
    "it is no candidate, and no daemon runs that would count it as one when it streams: lifeboat rebuild does",
  "pooler-undriven": "a pooler cannot be driven: a failover would leave its clients where they are",
  "pooler-astray": "a pooler leads its clients to another server than the primary",
  "plan-fails":
    "what must be done failed again and again in the same way; it is tried again ever later, and at once when something changes",
} as const;

/** One of them. */
export type ReasonCode = keyof typeof REASONS;

/** A reason. */
export type Reason = {
  readonly code: ReasonCode;
  /** Undefined: of no node, or of the witness. */
  readonly node: NodeName | undefined;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
};

/** A reason as a sentence: whose it is, what it says, and its facts. */
export function reasonText({
  node = null,
  says,
  facts,
}: {
  readonly node: string | null | undefined;
  readonly says: string;
  readonly facts: Readonly<Record<string, unknown>>;
}): string {
  const told = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  return `${node === null ? "" : `${node}: `}${says}${told.length === 0 ? "" : ` (${told.join(", ")})`}`;
}

/** Makes one. */
export function reason(code: ReasonCode, node?: NodeName, facts: Reason["facts"] = {}): Reason {
  return { code, node, facts };
}
