import { defineErrors, EXIT } from "../entry.ts";

export const leaseErrors = defineErrors({
  "lease.lost": {
    kind: "world",
    exit: EXIT.refused,
    meaning:
      "The right to act on the primary role has ended or could not be renewed in time, and nothing more is done under it.",
  },
  "lease.store-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The lease store did not say who may act on the primary role, so nobody here does.",
  },
  "lease.record-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "What is recorded of the last epoch cannot be read, and an epoch must never be granted twice.",
  },
});
