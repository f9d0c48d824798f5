import { defineErrors, EXIT } from "../entry.ts";

export const backupErrors = defineErrors({
  "backup.checksum-failed": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The server found a bad page checksum while it sent the backup; nothing was announced.",
  },
});
