import type { Migration } from "./migration.ts";

/**
 * Words near a mistyped one. The threshold is low, since one wrong letter in a word of five leaves a fifth of its trigrams; what
 * comes is sorted by letters afterwards. It is set for the function alone: a setting of a session would stay on a pooler's
 * connection, and one of the database is not its owner's to make. The first statement loads the library that owns the setting.
 */
export const NEAR_WORDS: Migration = {
  number: 4,
  name: "near-words",
  sql: `
select similarity('load', 'library');

create function near_words(asked text) returns setof text language sql stable parallel safe
  set pg_trgm.similarity_threshold = '0.13' as $$
    select word from search_words
    where word % asked and length(word) between length(asked) - 2 and length(asked) + 2
    order by similarity(word, asked) desc, word limit 40
  $$;
`,
};
