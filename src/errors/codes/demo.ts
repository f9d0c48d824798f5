import { defineErrors, EXIT } from "../entry.ts";

export const demoErrors = defineErrors({
  "demo.writes-missing": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "Acknowledged writes were missing after the recovery of the demo.",
  },
  "demo.catalog-exists": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The database named for the demo's catalogue has tables of these names already.",
  },
  "demo.ledger-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The ledger of acknowledged writes cannot be read, so nothing can be said about lost writes.",
  },
  "demo.client-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The process that writes to the demo's server ended or fell silent before it was told to.",
  },
});
