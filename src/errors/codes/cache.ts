import { defineErrors, EXIT } from "../entry.ts";

export const cacheErrors = defineErrors({
  "cache.refused": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Redis answered something else than it should.",
  },
});
