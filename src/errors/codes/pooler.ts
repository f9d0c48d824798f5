import { defineErrors, EXIT } from "../entry.ts";

export const poolerErrors = defineErrors({
  "pooler.unreachable": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A pooler's console cannot be reached, was lost, or gave no answer in time.",
  },
  "pooler.refused": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A pooler's console refused a login or a command, or answered something else than it should.",
  },
  "pooler.busy": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Another process of this machine acts on the same pooler and does not end.",
  },
  "pooler.not-repointed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A pooler read its configuration again and still leads to another server.",
  },
  "pooler.not-all": {
    kind: "world",
    exit: EXIT.world,
    meaning: "At least one of several poolers did not do what all were told.",
  },
  "pooler.file-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The file that says where a pooler leads, or the one that says who has it paused, cannot be read.",
  },
});
