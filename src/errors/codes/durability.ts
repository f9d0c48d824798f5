import { defineErrors, EXIT } from "../entry.ts";

export const durabilityErrors = defineErrors({
  "durability.not-primary": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server whose durability was to be changed follows another one and takes no writes.",
  },
  "durability.failover-under-way": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "A failover has told the receiver to confirm nothing; changing durability now could lose acknowledged writes.",
  },
  "durability.version-unsafe": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Commits of this PostgreSQL version may not wait for confirmers right after a start.",
  },
  "durability.name-twice": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Several connections have the name of one confirmer, and the wrong one could count for it.",
  },
  "durability.too-few-confirmers": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Fewer confirmers stream than commits would wait for: no write would be acknowledged.",
  },
  "durability.not-taken": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server was told how many confirmers commits wait for, and its sessions do not show it.",
  },
  "durability.record-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The file that records the chosen durability cannot be read.",
  },
});
