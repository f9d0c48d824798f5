import { defineErrors, EXIT } from "../entry.ts";

export const demoErrors = defineErrors({
  "demo.writes-missing": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "Acknowledged writes were missing after the recovery of the demo.",
  },
});
