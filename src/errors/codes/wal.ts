import { defineErrors, EXIT } from "../entry.ts";

export const walErrors = defineErrors({
  "wal.segment-conflict": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The vault already holds a segment or history of this name with other content.",
  },
  "wal.segment-missing": {
    kind: "world",
    exit: EXIT.notFound,
    meaning: "A WAL segment that is needed is not in the vault.",
  },
  "wal.switch-not-held": {
    kind: "world",
    exit: EXIT.notFound,
    meaning:
      "Of the segment with which a timeline begins only the timeline before has a copy, which goes on behind the switch.",
  },
  "wal.segment-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The first page of a WAL segment is not what the segment's name says.",
  },
  "wal.history-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A timeline's history file is not one that PostgreSQL writes.",
  },
  "wal.bad-name": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "A name that PostgreSQL never gives to WAL was asked for.",
  },
  "wal.foreign-system": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server is not the one whose WAL the spool or the vault holds.",
  },
  "wal.foreign-lineage": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The server's WAL differs from what was received before: another copy of the same cluster.",
  },
  "wal.timeline-behind": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The server is on an older timeline than the one that was followed: an old primary has come back.",
  },
  "wal.timeline-unexpected": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server is not on the timeline that the receiver's mandate is for; it may yet be promoted.",
  },
  "wal.epoch-stale": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The receiver has seen a later epoch: somebody else acts, or has acted, since.",
  },
  "wal.not-following": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The receiver follows another server than the one that it was permitted to confirm to.",
  },
  "wal.withdrawn": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The receiver's mandate was withdrawn: nothing is received before another one is granted.",
  },
  "wal.bad-question": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The receiver was asked something over its socket that it does not understand.",
  },
  "wal.server-behind": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server's WAL ends before what was received from this timeline.",
  },
  "wal.server-silent": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server sent nothing for too long; the connection was dropped.",
  },
  "wal.spool-shared": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Others can write to the folder of the socket at which the receiver is asked.",
  },
  "wal.spool-busy": { kind: "operator", exit: EXIT.refused, meaning: "Another receiver uses the spool." },
  "wal.spool-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A file of the spool is not what the receiver wrote there.",
  },
  "wal.spool-full": {
    kind: "world",
    exit: EXIT.world,
    meaning: "As much WAL waits for the vault as the spool may hold; nothing more is confirmed.",
  },
});
