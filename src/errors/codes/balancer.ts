import { defineErrors, EXIT } from "../entry.ts";

export const balancerErrors = defineErrors({
  "balancer.refused": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The balancer answered something else than it should.",
  },
});
