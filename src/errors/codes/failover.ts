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
  "failover.no-record": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "Nothing says which node is the primary: the stack was never brought up.",
  },
});
