/** Telling callers when a price changes. */
import { z } from "zod";
import type { Session } from "../../database/session.ts";
import { isStorable, NOT_STORABLE } from "../../ingest/storable.ts";
import type { Tier } from "../../keys/key.ts";
import { ApiProblem } from "../problems.ts";
import { own, write } from "../route.ts";

/** What can be told of. */
export const WEBHOOK_EVENTS = ["price.changed", "stock.changed"] as const;

/** By what its key may ask: each costs a look at every change there is. */
export const WEBHOOKS_MAX: Readonly<Record<Tier, number>> = { free: 3, live: 20, partner: 100 };

/**
 * Of all free keys together, which anybody makes: with two thousand a change is told to nobody in time, whose key it may be. Keys
 * that the operator gave do not count.
 */
const FREE_WEBHOOKS_MAX = 500;

/** Each costs a look at every change there is; ten keys, with all that each may have. Beyond `WEBHOOKS_MAX`, since an address has many keys. */
const ADDRESS_HOUR_MAX = 10 * WEBHOOKS_MAX.free;

const webhookSchema = z.object({
  id: z.int(),
  url: z.string(),
  events: z.array(z.enum(WEBHOOK_EVENTS)),
  product_ids: z.array(z.int()).describe("Empty: all products."),
  secret: z.string().describe("Signs every call: x-lifeboat-signature is sha256=HMAC-SHA256(secret, body)."),
});

/** How one is: called, left alone for a while since it fails, or ended since it failed for too long. */
const STATES = ["active", "resting", "ended"] as const;

const listedSchema = webhookSchema.omit({ secret: true }).extend({
  created_at: z.string(),
  state: z.enum(STATES),
  failure_count: z.int().describe("Failures since its last success."),
  failing_since: z.string().nullable(),
  rests_until: z.string().nullable(),
  waiting: z.int().describe("Calls that wait to be made."),
  last_answer: z.string().nullable().describe("What the last call came to, while it is remembered."),
});

/** Those that their owner took back have no `failing_since`: nothing is told of them. */
const LIST_SQL = `select id, url, events, product_ids, created_at, failure_count, failing_since,
  case when not is_active then 'ended' when rests_until > now() then 'resting' else 'active' end as state,
  case when is_active and rests_until > now() then rests_until end as rests_until,
  (select count(*)::int from webhook_deliveries d where d.webhook_id = h.id and h.is_active and d.delivered_at is null and d.given_up_at is null) as waiting,
  (select d.last_answer from webhook_deliveries d where d.webhook_id = h.id and d.last_answer is not null order by d.id desc limit 1) as last_answer
from webhooks h where api_key_id = $1 and id > $2 and (is_active or failing_since is not null) order by id limit $3`;

/** Several at once may come to a few more. */
async function refuseBeyondAll(session: Session): Promise<void> {
  const { rows } = await session.query(
    `select count(*)::int as count from webhooks h join api_keys k on k.id = h.api_key_id
     where h.is_active and k.tier = 'free' and k.revoked_at is null`,
  );
  if (Number(rows[0]?.["count"]) >= FREE_WEBHOOKS_MAX)
    throw new ApiProblem(
      "VALIDATION_ERROR",
      `free keys together have ${FREE_WEBHOOKS_MAX} webhooks, and all are taken`,
    );
}

/** Routes of this file. */
export const WEBHOOK_ROUTES = [
  own({
    path: "/v1/webhooks",
    operation: "listWebhooks",
    summary: "The key's webhooks, the oldest first, with those that were ended since they failed; never their secrets.",
    scope: "read",
    query: z.object({
      limit: z.coerce.number().int().min(1).max(100).default(20),
      cursor: z.coerce.number().int().min(0).default(0).describe("From next_cursor of the page before."),
    }),
    answer: z.object({ items: z.array(listedSchema), has_more: z.boolean(), next_cursor: z.int().nullable() }),
    load: async (reads, { query: { limit, cursor } }, { id }) => {
      const { rows } = await reads.read(LIST_SQL, [id, cursor, limit + 1]);
      const items = rows.slice(0, limit);
      const hasMore = rows.length > limit;
      return { items, has_more: hasMore, next_cursor: hasMore ? items.at(-1)?.["id"] : null };
    },
  }),
  write({
    method: "POST",
    path: "/v1/webhooks",
    operation: "createWebhook",
    summary:
      "Has an address told of every change of a price, or of availability; one that fails for long is left alone for a while, then ended.",
    scope: "read",
    addressHourMax: ADDRESS_HOUR_MAX,
    status: 201,
    isNatural: false,
    body: z.object({
      url: z
        .url({ protocol: /^https?$/ })
        .max(2_048)
        .refine((url) => isStorable(url), NOT_STORABLE),
      events: z.array(z.enum(WEBHOOK_EVENTS)).min(1).default(["price.changed"]),
      product_ids: z.array(z.int().min(1)).max(1_000).default([]),
    }),
    answer: webhookSchema,
    act: async (session, { body }, { caller, tools }) => {
      if (caller === undefined || caller.id <= 0)
        throw new ApiProblem("INSUFFICIENT_SCOPE", "a key of the stack has no webhooks");
      const secret = tools.random(24).toString("base64url");
      if (caller.tier === "free") await refuseBeyondAll(session);
      // Counted by one at a time.
      await session.query("select from api_keys where id = $1 for update", [caller.id]);
      const { rows } = await session.query(
        `insert into webhooks (api_key_id, url, secret, events, product_ids)
         select $1, $2, $3, $4, $5 where (select count(*) from webhooks where api_key_id = $1 and is_active) < $6 returning id`,
        [caller.id, body.url, secret, body.events, body.product_ids, WEBHOOKS_MAX[caller.tier]],
      );
      if (rows.length === 0)
        throw new ApiProblem(
          "VALIDATION_ERROR",
          `a key of this tier has ${WEBHOOKS_MAX[caller.tier]} webhooks at most`,
        );
      return { id: rows[0]?.["id"], url: body.url, events: body.events, product_ids: body.product_ids, secret };
    },
  }),
  write({
    method: "DELETE",
    path: "/v1/webhooks/:id",
    operation: "deleteWebhook",
    summary: "Tells it nothing more.",
    scope: "read",
    status: 200,
    isNatural: true,
    params: z.object({ id: z.coerce.number().int().min(1) }),
    answer: z.object({ deleted: z.boolean() }),
    act: async (session, { params }, { caller }) => {
      const { rows } = await session.query(
        "update webhooks set is_active = false, failing_since = null, rests_until = null where id = $1 and api_key_id = $2 returning id",
        [params.id, caller?.id],
      );
      if (rows.length === 0) throw new ApiProblem("WEBHOOK_NOT_FOUND");
      return { deleted: true };
    },
  }),
];
