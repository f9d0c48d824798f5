import type { Migration } from "./migration.ts";

/** What 0011-words-by-place.ts stands for goes: each index is paid for at each change of an offer. */
export const WORDS_ONCE: Migration = {
  number: 12,
  name: "words-once",
  sql: "drop index products_search",
};
