import { defineErrors, EXIT } from "../entry.ts";

export const scraperErrors = defineErrors({
  "scraper.claim-lost": {
    kind: "world",
    exit: EXIT.world,
    meaning:
      "The database does not hold a run's claim on its source any more: another may have it, or a failover lost it.",
  },
});
