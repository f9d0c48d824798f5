import { defineErrors, EXIT } from "../entry.ts";

export const catalogErrors = defineErrors({
  "catalog.settings-invalid": {
    kind: "operator",
    exit: EXIT.usage,
    meaning:
      "The file that tells the service's programs where everything is, is not as docs/formats/service.md says, or a secret that it names is empty.",
  },
  "catalog.migration-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A migration of the catalogue's schema that was applied says something else now.",
  },
  "catalog.migration-blocked": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A migration of the catalogue's schema waits for a lock that others hold on for long.",
  },
  "catalog.migration-unknown": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The catalogue's database was migrated by a newer version of the service.",
  },
});
