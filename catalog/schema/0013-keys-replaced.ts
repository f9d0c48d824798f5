import type { Migration } from "./migration.ts";

/** By it a key is removed that nobody used: without it the server looks through all keys for one that this one replaced. */
export const KEYS_REPLACED: Migration = {
  number: 13,
  name: "keys-replaced",
  indexesOnly: true,
  sql: `
create index api_keys_replaced on api_keys (replaced_by) where replaced_by is not null;
`,
};
