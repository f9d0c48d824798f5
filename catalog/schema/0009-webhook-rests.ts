import type { Migration } from "./migration.ts";

/** Since when a webhook has failed without a success in between, and until when it is left alone for that. */
export const WEBHOOK_RESTS: Migration = {
  number: 9,
  name: "webhook-rests",
  sql: `
alter table webhooks add column failing_since timestamptz, add column rests_until timestamptz;
`,
};
