import { defineErrors, EXIT } from "../entry.ts";

export const postgresErrors = defineErrors({
  "postgres.protocol": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server sent something that the protocol does not allow, or that could not be read.",
  },
  "postgres.unreachable": { kind: "world", exit: EXIT.world, meaning: "The server does not answer." },
});
