import type { Migration } from "./migration.ts";

/** The last call of a webhook, which its owner sees, and whether it has any, without which it is removed when it was taken back. */
export const DELIVERIES_BY_WEBHOOK: Migration = {
  number: 14,
  name: "deliveries-by-webhook",
  indexesOnly: true,
  sql: `
create index webhook_deliveries_webhook on webhook_deliveries (webhook_id, id);
`,
};
