import { defineErrors, EXIT } from "../entry.ts";

export const demoErrors = defineErrors({
  "demo.catalog-exists": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The database named for the demo's catalogue has tables of these names already.",
  },
  "demo.no-space": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The disk of the sandbox folder cannot hold a demo of the wanted size.",
  },
  "demo.receiver-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The receiver of the demo ended, or did not become the server's synchronous standby in time.",
  },
});
