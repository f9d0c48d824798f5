import { defineErrors, EXIT } from "../entry.ts";

export const platformErrors = defineErrors({
  "platform.file-failed": { kind: "world", exit: EXIT.world, meaning: "A file operation failed on this machine." },
  "platform.file-missing": { kind: "operator", exit: EXIT.notFound, meaning: "A file or folder is not there." },
  "platform.file-exists": { kind: "operator", exit: EXIT.refused, meaning: "A file of this name is already there." },
  "platform.file-denied": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "This user may not touch a file or folder.",
  },
  "platform.folder-foreign": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A folder in /tmp where sockets of a stack are to lie is a link, somebody else's, or open to others.",
  },
  "platform.disk-full": { kind: "world", exit: EXIT.world, meaning: "A file system has no space left." },
  "platform.assertion-failed": {
    kind: "bug",
    exit: EXIT.bug,
    meaning: "Something that must always hold did not: a bug in Lifeboat.",
  },
  "platform.no-answer": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A program on this machine that should listen did not answer, or not in time.",
  },
  "platform.component-unknown": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The stack has no component of this name, or it was never started.",
  },
  "platform.component-fenced": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A component that was taken out of service is not started.",
  },
  "platform.stale-epoch": {
    kind: "world",
    exit: EXIT.refused,
    meaning:
      "An order to a component was refused where it is run, because one of a later controller was carried out before.",
  },
  "platform.component-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A component could not be brought to do what was asked.",
  },
  "platform.supervisor-record": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "What a supervisor recorded of its components cannot be read; nothing was started or ended.",
  },
  "platform.process-not-started": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "A program could not be started: it is not there, or this user may not execute it.",
  },
  "platform.process-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A program that Lifeboat ran reported a failure.",
  },
  "platform.process-timeout": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A program that Lifeboat ran did not end in time and was killed.",
  },
  "platform.user-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "There is no unprivileged user to run servers as; PostgreSQL refuses root.",
  },
  "platform.not-reachable": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The unprivileged user that runs servers cannot execute their programs, or cannot enter a folder that is to be restored.",
  },
  "platform.no-free-port": { kind: "world", exit: EXIT.world, meaning: "No free TCP port was found on this machine." },
  "platform.aborted": { kind: "operator", exit: EXIT.interrupted, meaning: "The operation was stopped on request." },
});
