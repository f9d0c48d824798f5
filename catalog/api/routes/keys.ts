/** Keys: getting one, changing it. */
import { z } from "zod";
import { storableText } from "../../ingest/storable.ts";
import { makeKey, SCOPES, TIERS, type Tier } from "../../keys/key.ts";
import { ApiProblem } from "../problems.ts";
import { write } from "../route.ts";

const tiers = Object.keys(TIERS) as [Tier, ...Tier[]];

/** Each of them is a row for good, or for a month: more people than that do not begin behind one address in an hour. */
const KEYS_HOUR_MAX = 30;

const keySchema = z.object({
  api_key: z.string().describe("Shown once; we keep a digest."),
  tier: z.enum(tiers),
  scopes: z.array(z.enum(SCOPES)),
  rate_limit_per_minute: z.int(),
});

/** Routes of this file. */
export const KEY_ROUTES = [
  write({
    method: "POST",
    path: "/v1/auth/register",
    operation: "registerKey",
    summary:
      "A key at once. Tiers above free, and scopes above read, need the operator's key. A free key that nobody has used thirty days after it was made ends.",
    scope: undefined,
    addressHourMax: KEYS_HOUR_MAX,
    status: 201,
    isNatural: false,
    isSecret: true,
    body: z.object({
      agent_name: storableText(128).trim().min(1),
      tier: z.enum(tiers).default("free"),
      scopes: z.array(z.enum(SCOPES)).min(1).default(["read"]),
    }),
    answer: keySchema,
    act: async (session, { body }, { caller, tools }) => {
      const isPlain = body.tier === "free" && body.scopes.every((scope) => scope === "read");
      if (!isPlain && caller?.scopes.includes("operate") !== true) {
        throw new ApiProblem("INSUFFICIENT_SCOPE", "only the operator gives more than a free key for reading");
      }
      const { key, prefix, hash } = makeKey(tools.random, body.tier);
      await session.query(
        "insert into api_keys (key_hash, prefix, agent_name, tier, scopes) values (decode($1, 'hex'), $2, $3, $4, $5)",
        [hash, prefix, body.agent_name, body.tier, body.scopes],
      );
      return { api_key: key, tier: body.tier, scopes: body.scopes, rate_limit_per_minute: TIERS[body.tier] };
    },
  }),
  write({
    method: "POST",
    path: "/v1/keys/rotate",
    operation: "rotateKey",
    summary: "A new key in place of the one that asks, which ends at once.",
    scope: "read",
    addressHourMax: KEYS_HOUR_MAX,
    status: 201,
    isNatural: false,
    isSecret: true,
    endsKey: true,
    answer: keySchema,
    act: async (session, _input, { caller, tools }) => {
      if (caller === undefined || caller.id <= 0)
        throw new ApiProblem("INSUFFICIENT_SCOPE", "a key of the stack is changed in its file");
      const { key, prefix, hash } = makeKey(tools.random, caller.tier);
      const { rows } = await session.query(
        `insert into api_keys (key_hash, prefix, agent_name, tier, scopes)
         select decode($2, 'hex'), $3, agent_name, tier, scopes from api_keys where id = $1 and revoked_at is null for update returning id`,
        [caller.id, hash, prefix],
      );
      if (rows.length === 0) throw new ApiProblem("REVOKED_API_KEY");
      const both = [caller.id, rows[0]?.["id"]];
      await session.query("update api_keys set revoked_at = now(), replaced_by = $2 where id = $1", both);
      // Who is told of prices is told on under the new key, and whose a source is goes on writing it.
      await session.query("update webhooks set api_key_id = $2 where api_key_id = $1", both);
      await session.query("update source_owners set api_key_id = $2 where api_key_id = $1", both);
      return { api_key: key, tier: caller.tier, scopes: [...caller.scopes], rate_limit_per_minute: TIERS[caller.tier] };
    },
    afterwards: async (_answer, { caller, tools }) => {
      if (caller === undefined) return;
      tools.keys.learn(caller.hash, { kind: "revoked", id: caller.id });
      await tools.limits.revoke(caller.hash);
    },
  }),
];
