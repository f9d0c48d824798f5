import { defineErrors, EXIT } from "../entry.ts";

export const vaultErrors = defineErrors({
  "vault.wrong-key": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The passphrase or key does not open this vault.",
  },
});
