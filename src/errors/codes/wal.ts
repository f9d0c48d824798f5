import { defineErrors, EXIT } from "../entry.ts";

export const walErrors = defineErrors({
  "wal.segment-missing": {
    kind: "world",
    exit: EXIT.notFound,
    meaning: "A WAL segment that is needed is not in the vault.",
  },
});
