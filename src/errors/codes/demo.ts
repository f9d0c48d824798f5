import { defineErrors, EXIT } from "../entry.ts";

export const demoErrors = defineErrors({
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
  "demo.no-space": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The disk of the sandbox folder cannot hold a demo of the wanted size.",
  },
  "demo.receiver-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The receiver of the demo ended, or did not become the server's synchronous standby in time.",
  },
  "demo.client-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The process that writes to the demo's server ended or fell silent before it was told to.",
  },
});
