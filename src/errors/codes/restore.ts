import { defineErrors, EXIT } from "../entry.ts";

export const restoreErrors = defineErrors({
  "restore.target-not-empty": { kind: "operator", exit: EXIT.refused, meaning: "The restore target holds files." },
});
