import { defineErrors, EXIT } from "../entry.ts";

export const proofErrors = defineErrors({
  "proof.extension-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The PostgreSQL programs lack amcheck or pg_visibility, without which nothing can be checked; nothing was recorded.",
  },
  "proof.library-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The restored databases need the library of an extension, or a locale, that this machine does not have; nothing was recorded.",
  },
  "proof.machine-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning:
      "This machine could not go on with a proof (memory, a disk, a process that was killed, what its programs lack); nothing was recorded.",
  },
  "proof.invariants-unreadable": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The file of the stack's own invariants cannot be read or understood.",
  },
});
