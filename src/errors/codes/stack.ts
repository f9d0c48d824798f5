import { defineErrors, EXIT } from "../entry.ts";

export const stackErrors = defineErrors({
  "stack.port-busy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Something else listens on a port that the stack is to use.",
  },
  "stack.node-port-kept": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "A stack that has had a daemon is to come up with another port of its primary, which receiver, poolers and replica know by it.",
  },
  "stack.service-not-ready": {
    kind: "world",
    exit: EXIT.world,
    meaning: "An instance of the service's API runs and cannot serve.",
  },
  "stack.schema-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The program that brings the service's database to the newest schema ended badly.",
  },
  "stack.busy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Another command changes the stack at this moment.",
  },
  "stack.owned-by-another": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Root was to change or to look at a stack that an unprivileged user has started.",
  },
  "stack.outage-not-accepted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A command that interrupts writes was not told that it may.",
  },
  "stack.no-old-data": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "Nothing is kept of the data that a node had before it was rebuilt: it streams, or was never rebuilt.",
  },
  "stack.not-started": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The stack was never started: there is nothing to look at.",
  },
  "stack.no-primary": {
    kind: "world",
    exit: EXIT.world,
    meaning: "No node of the stack could be asked that takes writes.",
  },
  "stack.primary-unsettled": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Who the primary of the stack is, is being decided, or the receiver was not told yet.",
  },
  "stack.two-primaries": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "More than one node of the stack takes writes.",
  },
  "stack.record-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The file that records a stack's ports cannot be read.",
  },
  "stack.secret-unusable": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A file of the stack's secrets does not hold one.",
  },
  "stack.vault-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The stack's vault is gone, and its receiver has worked with one: a new one is made only when that is said.",
  },
  "stack.data-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The primary's data is gone while the vault holds backups of it, or may, or the other node has data: it is to be restored, not begun anew.",
  },
  "stack.database-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The stack is described with another database than it was made with, and would go on leading clients to that.",
  },
  "stack.application-role-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The stack is described with another application's role than its poolers let in, and the database does not belong to that one.",
  },
  "stack.login-refused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The primary works and refuses the login of its superuser with the password that the stack's secret has.",
  },
  "stack.failover-paused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The primary does not run, and a person paused failover: nothing starts it or takes its place by itself.",
  },
  "stack.roles-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A node is not in the role that the stack was described with; starting both could give two primaries.",
  },
  "stack.program-missing": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "A program that the stack runs is not installed.",
  },
  "stack.install-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Debian's packages of the stack's programs could not be installed.",
  },
  "stack.proof-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The stack's pooler did not take a write, or its components do not agree on it.",
  },
  "stack.rejoin-refused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "A node is not made to follow: its data is of another system, who it is to follow is no primary or does not answer, the vault has less than that one, or the node took writes that nobody else has and nobody has said that it is to be rebuilt.",
  },
  "stack.step-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A step of the start-up was done and its effect did not show in time.",
  },
});
