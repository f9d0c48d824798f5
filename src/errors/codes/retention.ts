import { defineErrors, EXIT } from "../entry.ts";

export const retentionErrors = defineErrors({
  "retention.prune-running": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Another prune of this machine is under way.",
  },
  "retention.hold-appeared": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Somebody held what a prune was about to delete; it deleted nothing more.",
  },
  "retention.removal-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Some objects could not be deleted; the vault is usable, and the next prune goes on.",
  },
  "retention.records-missing": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "Packs or WAL are in the vault and no record of their system, as in a copy that is not complete.",
  },
  "retention.begun-ahead": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A backup that may be under way was begun at a time that is still to come.",
  },
  "retention.not-held": { kind: "operator", exit: EXIT.notFound, meaning: "What was to be released is not held." },
});
