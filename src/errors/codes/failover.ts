import { defineErrors, EXIT } from "../entry.ts";

export const failoverErrors = defineErrors({
  "failover.lease-lost": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The right to act ended before the action did: nothing more was done under it.",
  },
  "failover.stale-epoch": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "An order was refused because another controller has acted since.",
  },
  "failover.session-stays": {
    kind: "world",
    exit: EXIT.world,
    meaning:
      "A session of another controller, which may act no more, does not end on a server: nothing is ordered there beside it.",
  },
  "failover.step-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A step of an action did not work out; what was begun is finished or undone by the next one.",
  },
  "failover.unsafe-candidate": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "Acknowledged writes would be missing on the node that was to take over.",
  },
  "failover.parameters-too-small": {
    kind: "world",
    exit: EXIT.refused,
    meaning:
      "The node that was to take over has less of what is compared at replay (max_connections and others) than its primary: it has paused.",
  },
  "failover.no-record": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "Nothing says which node is the primary: the stack was never brought up.",
  },
  "failover.two-primaries": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "Two nodes take writes, and nothing says which of them is the primary.",
  },
  "failover.primary-lives": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The primary lives, or is not provably gone: it is not replaced, a switchover hands the role over.",
  },
  "failover.blocked": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The primary is gone and no node may take over, or only with a loss that was not accepted.",
  },
  "failover.loss-not-stated": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The loss that was accepted is not the one that is stated now.",
  },
  "failover.cost-not-accepted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A planned switchover would cost something that was not accepted: logical slots, or the order of text.",
  },
  "failover.not-adopted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "A node that was to be the primary as it is cannot be: it is none that somebody promoted, or does not answer.",
  },
  "failover.switchover-refused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A planned switchover is refused because not everything is well.",
  },
  "failover.lease-held": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Another controller has the right to act at this moment.",
  },
});
