import { defineErrors, EXIT } from "../entry.ts";

export const journalErrors = defineErrors({
  "journal.busy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Another process writes the journal; there is one writer at a time.",
  },
  "journal.stuck": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The disk of the journal does not finish what it was given.",
  },
});
