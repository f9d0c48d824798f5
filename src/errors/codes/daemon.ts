import { defineErrors, EXIT } from "../entry.ts";

export const daemonErrors = defineErrors({
  "daemon.no-answer": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The stack's daemon is there and does not answer, or ended while it was asked.",
  },
  "daemon.request-unknown": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The daemon was asked something that it does not understand.",
  },
  "daemon.failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The daemon could not do what it was asked, for a reason that has no code of its own.",
  },
});
