import { defineErrors, EXIT } from "../entry.ts";

export const witnessErrors = defineErrors({
  "witness.node-not-still": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "A node was to be given WAL of the witness and is no standby, or still receives from somebody.",
  },
  "witness.end-unknown": {
    kind: "world",
    exit: EXIT.world,
    meaning: "It could not be told where the last whole record ends that the witness holds.",
  },
  "witness.node-unknown": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The witness was to follow a node that its configuration does not name.",
  },
  "witness.gap-unfinished": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A node's gap was larger than could be filled in the time allowed; it can be gone on with.",
  },
  "witness.gap-not-written": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A node does not hold what was written into its WAL.",
  },
});
