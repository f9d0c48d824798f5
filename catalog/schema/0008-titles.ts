import type { Migration } from "./migration.ts";

/**
 * Who asks for a title, or a brand and a title, is shown that first. By their words alone it could not be found where all of them are
 * common (0006-large-catalogues.ts). Nothing but equality is asked for, of texts as long as they like: a hash holds four bytes of each.
 */
export const TITLES: Migration = {
  number: 8,
  name: "titles",
  indexesOnly: true,
  sql: `
create index products_title on products using hash (lower(title)) where is_active;
`,
};
