/** Telling callers when a price changes. */
import { z } from "zod";
import { isStorable, NOT_STORABLE } from "../../ingest/storable.ts";
import type { Tier } from "../../keys/key.ts";
import { ApiProblem } from "../problems.ts";
import { write } from "../route.ts";

/** What can be told of. */
export const WEBHOOK_EVENTS = ["price.changed", "stock.changed"] as const;

/** By what its key may ask: each costs a look at every change there is. */
export const WEBHOOKS_MAX: Readonly<Record<Tier, number>> = { free: 3, live: 20, partner: 100 };

const webhookSchema = z.object({
  id: z.int(),
  url: z.string(),
  events: z.array(z.enum(WEBHOOK_EVENTS)),
  product_ids: z.array(z.int()).describe("Empty: all products."),
  secret: z.string().describe("Signs every call: x-lifeboat-signature is sha256=HMAC-SHA256(secret, body)."),
});

/** Routes of this file. */
export const WEBHOOK_ROUTES = [
  write({
    method: "POST",
    path: "/v1/webhooks",
    operation: "createWebhook",
    summary:
      "Has an address told of every change of a price, or of availability; one that fails for long is left alone for a while, then ended.",
    scope: "read",
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
        "update webhooks set is_active = false where id = $1 and api_key_id = $2 returning id",
        [params.id, caller?.id],
      );
      if (rows.length === 0) throw new ApiProblem("WEBHOOK_NOT_FOUND");
      return { deleted: true };
    },
  }),
];
