/** Binds routes to Fastify: who calls, how often they may, what came in, and how the answer is given. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { assert } from "../../src/errors/error.ts";
import { countedAs } from "../../src/platform/caller-address.ts";
import type { Answered } from "../cache/answers.ts";
import { isGivenUp, isServerGone } from "../database/gone.ts";
import { AgedReads } from "../database/reads.ts";
import { WriteNotDone } from "../database/writes.ts";
import { isStorable, NOT_STORABLE } from "../ingest/storable.ts";
import { type Caller, hashOf, keyOf, MCP_ID, type Scope, TIERS } from "../keys/key.ts";
import type { Allowance } from "../keys/limits.ts";
import { answeredBefore, type Done, once, requestHash } from "./idempotency.ts";
import { writerSchema } from "./json-schema.ts";
import { ApiProblem } from "./problems.ts";
import {
  type Input,
  type Look,
  type LookRoute,
  type NoteRoute,
  type OwnRoute,
  type ReadRoute,
  type Route,
  statusOf,
  type WriteRoute,
} from "./route.ts";
import type { ApiTools } from "./tools.ts";

/** Calls a minute from one address without a key. */
const STRANGER_LIMIT = 30;
/** The same through the MCP service, which counts sixty itself: a client may ask several of it. */
const MCP_STRANGER_LIMIT = 120;
/** Calls a minute of all free keys of one address: five that use all they may. An address gives itself as many keys as it likes. */
const FREE_ADDRESS_LIMIT = 5 * TIERS.free;
/** A random UUID has 36. */
const SECRET_KEY_LENGTH_MIN = 20;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** Binds all of them. */
export function bindRoutes(app: FastifyInstance, routes: readonly Route[], look: Look): void {
  for (const each of routes) {
    const { route } = each;
    app.route({
      method: route.method,
      url: route.path,
      config: { operation: each.kind === "look" ? each.route.counted : route.operation },
      // Only what is answered: requests are checked by zod, in the handler.
      ...(each.kind === "look" ? {} : { schema: { response: { [statusOf(each)]: writerSchema(route.answer) } } }),
      ...(each.kind === "write" ? admittedFirst(each.route, look.tools) : {}),
      handler: handlerOf(each, look),
    });
  }
}

/** A stranger's long bodies would fill our memory before anybody has asked for their key. */
function admittedFirst({ scope, bodyBytesMax }: WriteRoute, tools: ApiTools) {
  if (bodyBytesMax === undefined) return {};
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    request.admitted = await admit(request, reply, { tools, scope });
  };
  return { bodyLimit: bodyBytesMax, onRequest };
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** Somebody has to bring the schema there. */
const SCHEMA_RETRY_AFTER_S = 5;

function handlerOf({ kind, route }: Route, look: Look): Handler {
  switch (kind) {
    case "read":
      return withSchema(readHandler(route, look.tools), look);
    case "write":
      return withSchema(writeHandler(route, look.tools), look);
    case "note":
      return withSchema(noteHandler(route, look.tools), look);
    case "own":
      return withSchema(ownHandler(route, look.tools), look);
    case "look":
      return lookHandler(route, look);
  }
}

/** A database that was restored to an older schema would call each request a mistake of ours. */
function withSchema(handler: Handler, { health }: Look): Handler {
  return async (request, reply) => {
    if (health.isSchemaOlder) throw new ApiProblem("SCHEMA_OLDER", undefined, { retryAfterS: SCHEMA_RETRY_AFTER_S });
    return await handler(request, reply);
  };
}

function noteHandler(route: NoteRoute, tools: ApiTools): Handler {
  return async (request, reply) => {
    const caller = await admit(request, reply, { tools, scope: route.scope });
    assert(caller !== undefined, "a scope is a caller's");
    const { params } = inputOf(route, request);
    route.note({ params }, { caller, tools });
    return reply.code(statusOf({ kind: "note", route })).send({});
  };
}

function ownHandler(route: OwnRoute, tools: ApiTools): Handler {
  return async (request, reply) => {
    const caller = await admit(request, reply, { tools, scope: route.scope });
    assert(caller !== undefined, "a scope is a caller's");
    const { query } = inputOf(route, request);
    const answer = await route.load(tools.reads, { query }, caller);
    tools.usage.called(caller.id, route.operation);
    reply.header("cache-control", "private, no-store").header("content-type", "application/json; charset=utf-8");
    return reply.send(serializerOf(reply, 200)(answer));
  };
}

function lookHandler({ media = "application/json; charset=utf-8", show }: LookRoute, look: Look): Handler {
  return async (_request, reply) => {
    const { status = 200, body } = show(look);
    return reply
      .code(status)
      .type(media)
      .send(typeof body === "string" ? body : JSON.stringify(body));
  };
}

function readHandler(route: ReadRoute, tools: ApiTools) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const caller = await admit(request, reply, { tools, scope: "read" });
    const input = inputOf(route, request);
    const serialize = serializerOf(reply, 200);
    const key = `${route.operation} ${JSON.stringify([input.params, input.query, input.body])}`;
    const answered = await tools.answers.get(key, {
      times: route.times,
      load: async () => {
        const reads = new AgedReads(tools.reads);
        const answer = await route.load(reads, input);
        const body = Buffer.isBuffer(answer) ? answer : Buffer.from(serialize(answer));
        return { body, behindMs: reads.behindMs };
      },
      isFinal: (error) => error instanceof ApiProblem && error.status < 500,
    });
    if (caller !== undefined) {
      tools.usage.called(caller.id, route.operation);
      const query = route.searched?.(input);
      if (query !== undefined) tools.usage.searched(caller.id, query, resultsOf(answered.copy.body));
    }
    return sendCopy(request, reply, { answered, tools });
  };
}

/** What writes the answer, compiled from the route's schema when it was bound. */
function serializerOf(reply: FastifyReply, status: number): (answer: object) => string {
  const serialize = reply.getSerializationFunction(String(status));
  assert(serialize !== undefined, "a route has a schema of its answer");
  return (answer) => serialize({ ...answer });
}

/** The number of results as the answer tells it first of all; not worth parsing a page for. */
function resultsOf(body: Buffer): number {
  return Number(/^\{"total":(\d+)/.exec(body.toString("latin1", 0, 20))?.[1] ?? 0);
}

function sendCopy(
  request: FastifyRequest,
  reply: FastifyReply,
  { answered, tools }: { readonly answered: Answered; readonly tools: ApiTools },
): FastifyReply {
  const { copy, from, isStale } = answered;
  const now = tools.clock.now();
  // With its mark a stale answer has other bytes than the fresh one of the same content.
  reply.header("etag", isStale ? `W/${copy.etag}` : copy.etag);
  reply.header("x-cache", from);
  const age = Math.max(0, Math.floor((now - copy.madeAt) / 1_000));
  if (age > 0) reply.header("age", String(age));
  if (isStale) {
    reply.header("warning", '110 - "Response is stale"');
    reply.header("cache-control", "private, max-age=0, stale-if-error=600");
  } else {
    const fresh = Math.max(0, Math.floor((copy.freshUntil - now) / 1_000));
    reply.header("cache-control", `private, max-age=${fresh}, stale-while-revalidate=60, stale-if-error=600`);
  }
  if (matches(request.headers["if-none-match"], copy.etag)) return reply.code(304).send();
  reply.header("content-type", "application/json; charset=utf-8");
  return reply.send(isStale ? Buffer.concat([STALE, copy.body.subarray(1)]) : copy.body);
}

/** What an answer begins with that is older than it should be. */
const STALE = Buffer.from('{"stale":true,');

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((each) => {
    const asked = each.trim().replace(/^W\//, "");
    return asked === "*" || asked === etag;
  });
}

function writeHandler(route: WriteRoute, tools: ApiTools) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { isSecret = false, endsKey = false } = route;
    let caller: Caller | undefined;
    try {
      caller = request.admitted ?? (await admit(request, reply, { tools, scope: route.scope }));
    } catch (error) {
      const isRevoked = error instanceof ApiProblem && error.code === "REVOKED_API_KEY";
      const replayed = endsKey && isRevoked ? await replayToRevoked(request, reply, tools) : undefined;
      if (replayed === undefined) throw error;
      return replayed;
    }
    if (caller !== undefined && caller.id !== 0 && route.callsMax !== undefined) {
      await limit(reply, tools, { who: `${route.operation}:${caller.hash}`, limit: route.callsMax[caller.tier] });
    }
    const input = inputOf(route, request);
    if (route.addressHourMax !== undefined && (caller === undefined || caller.tier === "free")) {
      const who = `${route.operation}:${addressOf(request, tools)}`;
      const asked = { who, limit: route.addressHourMax, per: "hour" } as const;
      await limitBeside(reply, tools, asked, `this address has had ${route.addressHourMax} of them in an hour`);
    }
    const key = idempotencyKeyOf(request, isSecret ? SECRET_KEY_LENGTH_MIN : 1);
    const serialize = serializerOf(reply, route.status);
    const at = { caller, tools };
    const act = async (session: Parameters<WriteRoute["act"]>[0]) => ({
      status: route.status,
      content: serialize(await route.act(session, input, at)),
      isReplayed: false,
    });
    const identity = caller === undefined ? "anyone" : String(caller.id);
    const asked =
      key === undefined
        ? undefined
        : { caller: identity, key, request: digestOf(request), isSecret, random: tools.random };
    const done = await asProblems(async () =>
      tools.writes.run(
        async (session) => {
          if (asked === undefined) return await act(session);
          return await once(session, asked, async () => await act(session));
        },
        { repeatable: key !== undefined || route.isNatural, bytes: request.bodyBytes },
      ),
    );
    if (caller !== undefined) tools.usage.called(caller.id, route.operation);
    await route.afterwards?.(JSON.parse(done.content) as object, at);
    return sendDone(reply, done);
  };
}

function sendDone(reply: FastifyReply, done: Done): FastifyReply {
  if (done.isReplayed) reply.header("idempotent-replayed", "true");
  return reply.code(done.status).header("content-type", "application/json; charset=utf-8").send(done.content);
}

/**
 * The answer to a request by which its key ended, for who never got it; undefined when the key is good, or this was never done.
 * The revoked key opens nothing here: the sealed answer needs the idempotency key that it was made with.
 */
async function replayToRevoked(
  request: FastifyRequest,
  reply: FastifyReply,
  tools: ApiTools,
): Promise<FastifyReply | undefined> {
  const shown = keyOf(request.headers);
  const standing = shown === undefined ? undefined : await tools.keys.standing(shown, addressOf(request, tools));
  if (standing?.kind !== "revoked") return undefined;
  await limit(reply, tools, { who: `address:${addressOf(request, tools)}`, limit: STRANGER_LIMIT });
  const key = idempotencyKeyOf(request, SECRET_KEY_LENGTH_MIN);
  if (key === undefined) return undefined;
  const asked = {
    caller: String(standing.id),
    key,
    request: digestOf(request),
    isSecret: true,
  };
  const done = await asProblems(async () =>
    tools.writes.run(async (session) => await answeredBefore(session, asked), {
      repeatable: true,
      bytes: request.bodyBytes,
    }),
  );
  return done === undefined ? undefined : sendDone(reply, done);
}

/** What is read without a stack of its own is not written without one: of a body with some thousands of levels there is no digest. */
function digestOf(request: FastifyRequest): Buffer {
  try {
    return requestHash(request.method, request.url, request.body);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ApiProblem("VALIDATION_ERROR", "body: has too many levels", { cause });
  }
}

/** Somebody has to make room on a disk; the others end by themselves. */
const RETRY_AFTER_S = { full: 5, late: 2, "no-room": 30 } as const;

/** What writes end with, as problems. */
async function asProblems<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof WriteNotDone)) throw cause;
    if (cause.reason === "unknown") throw new ApiProblem("OUTCOME_UNKNOWN", undefined, { cause, retryAfterS: 2 });
    throw new ApiProblem("SERVICE_UNAVAILABLE", undefined, { cause, retryAfterS: RETRY_AFTER_S[cause.reason] });
  }
}

function idempotencyKeyOf(request: FastifyRequest, lengthMin: number): string | undefined {
  const header = request.headers["idempotency-key"];
  if (header === undefined) return undefined;
  if (typeof header === "string" && header.length >= lengthMin && IDEMPOTENCY_KEY.test(header)) return header;
  throw new ApiProblem("VALIDATION_ERROR", `Idempotency-Key: has not ${lengthMin} to 255 printable characters`);
}

/** Lets a caller in: a good key with the scope, within its limit. Without a scope anybody is, by address. */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  { tools, scope }: { readonly tools: ApiTools; readonly scope: Scope | undefined },
): Promise<Caller | undefined> {
  const key = keyOf(request.headers);
  if (key === undefined) {
    if (scope !== undefined) throw new ApiProblem("MISSING_API_KEY");
    await limit(reply, tools, { who: `address:${addressOf(request, tools)}`, limit: STRANGER_LIMIT });
    return undefined;
  }
  const standing = await tools.keys.standing(key, addressOf(request, tools));
  if (standing.kind === "revoked") throw new ApiProblem("REVOKED_API_KEY");
  if (standing.kind === "unknown") throw new ApiProblem("INVALID_API_KEY");
  if (standing.kind === "guessed")
    throw new ApiProblem("RATE_LIMIT_EXCEEDED", "too many keys that nobody has were shown from this address", {
      retryAfterS: 1,
    });
  if (standing.kind === "unasked") throw new ApiProblem("SERVICE_UNAVAILABLE", undefined, { retryAfterS: 2 });
  const { caller } = standing;
  if (scope !== undefined && !caller.scopes.includes(scope))
    throw new ApiProblem("INSUFFICIENT_SCOPE", `the key is not for ${scope}`);
  const passed = caller.id === MCP_ID ? tools.keys.passedAddress(request.headers) : undefined;
  const counted =
    passed === undefined
      ? { who: caller.hash, limit: TIERS[caller.tier] }
      : { who: `mcp:${countedAs(passed)}`, limit: MCP_STRANGER_LIMIT };
  const { isRevoked } = await limit(reply, tools, counted);
  if (isRevoked) {
    tools.keys.learn(hashOf(key), { kind: "revoked", id: caller.id });
    throw new ApiProblem("REVOKED_API_KEY");
  }
  if (caller.tier === "free") {
    const together = { who: `free:${addressOf(request, tools)}`, limit: FREE_ADDRESS_LIMIT };
    await limitBeside(reply, tools, together, "the free keys of this address together have called too often");
  }
  return caller;
}

/** What a request counts as that shows no key of its own: by where it comes from, or through the MCP service by who asked that. */
function addressOf(request: FastifyRequest, { keys }: ApiTools): string {
  return countedAs(keys.passedAddress(request.headers) ?? request.ip);
}

type Counted = { readonly who: string; readonly limit: number; readonly per?: "minute" | "hour" };

async function limit(reply: FastifyReply, tools: ApiTools, asked: Counted): Promise<{ readonly isRevoked: boolean }> {
  const allowance = await tools.limits.take(asked.who, asked.limit);
  tellAllowance(reply, allowance);
  if (allowance.isOver && !allowance.isRevoked) {
    throw new ApiProblem("RATE_LIMIT_EXCEEDED", undefined, { retryAfterS: allowance.resetS });
  }
  return allowance;
}

/** A limit beside the caller's own: of which nothing is told until it is reached. */
async function limitBeside(reply: FastifyReply, tools: ApiTools, asked: Counted, why: string): Promise<void> {
  const allowance = await tools.limits.take(asked.who, asked.limit, asked.per);
  if (!allowance.isOver) return;
  tellAllowance(reply, allowance);
  throw new ApiProblem("RATE_LIMIT_EXCEEDED", why, { retryAfterS: allowance.resetS });
}

function tellAllowance(reply: FastifyReply, allowance: Allowance): void {
  reply.header("x-ratelimit-limit", String(allowance.limit));
  reply.header("x-ratelimit-remaining", String(allowance.remaining));
  reply.header("x-ratelimit-reset", String(allowance.resetS));
}

function inputOf(
  route: { readonly params?: z.ZodType; readonly query?: z.ZodType; readonly body?: z.ZodType },
  request: FastifyRequest,
): Input<unknown, unknown, unknown> {
  return {
    params: checked(route.params, asked(request.params, "path"), "path"),
    query: checked(route.query, asked(request.query, "query"), "query"),
    body: checked(route.body, request.body, "body"),
  };
}

/** What stands in an address ends in a statement: no route needs to think of text that the server does not take. */
function asked(value: unknown, where: string): unknown {
  if (isStorable(value)) return value;
  throw new ApiProblem("VALIDATION_ERROR", `${where}: ${NOT_STORABLE}`);
}

function checked(schema: z.ZodType | undefined, value: unknown, where: string): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue === undefined || issue.path.length === 0 ? where : `${where}.${issue.path.join(".")}`;
  throw new ApiProblem("VALIDATION_ERROR", `${at}: ${issue?.message}`);
}

/** What was thrown, as the problem that is answered; undefined for a mistake of ours. */
export function problemOf(error: unknown): ApiProblem | undefined {
  if (error instanceof ApiProblem) return error;
  if (isServerGone(error) || isGivenUp(error)) {
    return new ApiProblem("SERVICE_UNAVAILABLE", undefined, { cause: error, retryAfterS: 2 });
  }
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new ApiProblem("PAYLOAD_TOO_LARGE");
  if (typeof code === "string" && /^FST_ERR_CTP_|^FST_ERR_BAD_URL|^FST_ERR_VALIDATION/.test(code)) {
    return new ApiProblem("VALIDATION_ERROR", "body: is no JSON of the content type that it names");
  }
  if (error instanceof SyntaxError) return new ApiProblem("VALIDATION_ERROR", "body: is no JSON");
  return undefined;
}
