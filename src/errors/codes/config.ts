import { defineErrors, EXIT } from "../entry.ts";

export const configErrors = defineErrors({
  "config.invalid": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The configuration file, a flag or an environment variable has a value that is not accepted.",
  },
  "config.usage": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The command line names an unknown command or option, or lacks an argument.",
  },
  "config.file-missing": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The configuration file that was named is not there.",
  },
  "config.file-unreadable": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The configuration file is a folder, a pipe or a device, is far too long or is not text.",
  },
  "config.file-unsafe": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A configuration file was found that someone else may have put there; it is used only when named.",
  },
  "config.secret-missing": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "A passphrase is needed, none is configured, and there is no terminal to ask at.",
  },
  "config.secret-unusable": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The file or command of a secret gave nothing that can be used.",
  },
  "config.confirmation-refused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A destructive command was not confirmed.",
  },
});
