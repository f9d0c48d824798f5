import { defineErrors, EXIT } from "../entry.ts";

export const probeErrors = defineErrors({
  "probe.ledger-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The ledger of acknowledged writes cannot be read, so nothing can be said about lost writes.",
  },
  "probe.process-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The probe's process ended or fell silent before it was told to.",
  },
  "probe.reads-standby": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Writes were to be read back from a standby, which proves nothing of what was acknowledged.",
  },
  "probe.warnings-hidden": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The role's sessions hide warnings, so a commit that is on the primary alone would count as acknowledged.",
  },
});
