import { defineErrors, EXIT } from "../entry.ts";

export const configErrors = defineErrors({
  "config.invalid": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The configuration file, a flag or an environment variable has a value that is not accepted.",
  },
});
