import { defineErrors, EXIT } from "../entry.ts";

export const storeErrors = defineErrors({
  "store.bad-key": {
    kind: "bug",
    exit: EXIT.bug,
    meaning: "A name that no store accepts was given to one: a bug in Lifeboat.",
  },
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
  "store.not-a-store": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "A folder does not hold a store: a wrong path, or a disk that is not mounted.",
  },
  "store.read-only": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A store that was opened for reading only was asked to change something.",
  },
});
