import { defineErrors, EXIT } from "../entry.ts";

export const walErrors = defineErrors({
  "wal.segment-conflict": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The vault already holds a segment or history of this name with other content.",
  },
  "wal.segment-missing": {
    kind: "world",
    exit: EXIT.notFound,
    meaning: "A WAL segment that is needed is not in the vault.",
  },
});
