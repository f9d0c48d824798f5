import { defineErrors, EXIT } from "../entry.ts";

export const feedErrors = defineErrors({
  "feed.not-text": { kind: "world", exit: EXIT.damaged, meaning: "A merchant's feed is not UTF-8 text." },
  "feed.malformed": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A merchant's feed breaks the rules of its format in a way that makes the rest of it unreadable.",
  },
  "feed.forbidden-markup": {
    kind: "world",
    exit: EXIT.refused,
    meaning:
      "A merchant's feed declares a document type, which no feed needs and which can make a small file a large one.",
  },
  "feed.header-wrong": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The first line of a merchant's feed does not name its columns, or names one twice.",
  },
  "feed.row-too-long": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A row of a merchant's feed is longer than any offer, as after a quote that is never closed.",
  },
  "feed.too-large": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "A merchant's feed has more bytes or rows than are read.",
  },
  "feed.compression-broken": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A merchant's feed is compressed and cannot be decompressed.",
  },
  "feed.not-found": { kind: "world", exit: EXIT.notFound, meaning: "There is no feed where its source says." },
  "feed.refused": { kind: "world", exit: EXIT.refused, meaning: "The server of a feed refuses to give it." },
  "feed.busy": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server of a feed cannot give it now; a run later will find it.",
  },
  "feed.unreachable": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server of a feed does not answer, or the connection to it was cut.",
  },
  "feed.too-slow": { kind: "world", exit: EXIT.world, meaning: "A feed did not come in the time it has." },
  "feed.redirected-wrongly": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The server of a feed sends us on too often, or to where we do not go.",
  },
  "feed.place-wrong": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "A source names a place that is neither an http or https address nor a file in the folder of feeds.",
  },
});
