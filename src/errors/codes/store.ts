import { defineErrors, EXIT } from "../entry.ts";

export const storeErrors = defineErrors({
  "store.object-exists": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "An object of this name is already stored; objects are never overwritten.",
  },
  "store.object-missing": { kind: "world", exit: EXIT.notFound, meaning: "An object that should be there is not." },
  "store.object-truncated": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "An object is shorter than its reader needs.",
  },
  "store.failed": { kind: "world", exit: EXIT.world, meaning: "The store did not carry out an operation." },
});
