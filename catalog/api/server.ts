/** The HTTP server of one instance. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import type { Networks } from "../../src/platform/caller-address.ts";
import type { Caller } from "../keys/key.ts";
import { bindRoutes, problemOf } from "./bind.ts";
import type { Health } from "./health.ts";
import { openApiDocument } from "./openapi.ts";
import { ApiProblem, formOf, problemBody } from "./problems.ts";
import { ROUTES } from "./routes.ts";
import type { ApiTools } from "./tools.ts";

/** What anybody may have an instance keep before it is known who asks: more than any call takes that brings no offers. */
const BODY_BYTES_MAX = 256 * 1024;
/**
 * From the first byte of a request to its last: the longest body by a line of half a megabit a second. Also what is read of one that was
 * answered before it ended (below) ends by this. How long an answer takes, or is in coming, is not counted.
 */
const RECEIVE_TIMEOUT_MS = 60_000;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Under which name requests are counted. */
    operation?: string;
  }
  interface FastifyRequest {
    /** How long its body was as it came, whether that was told before or not. */
    bodyBytes: number;
    /** Who was let in before the body came. */
    admitted: Caller | undefined;
  }
}

/** Who connects, and who is told. */
export type ServerOptions = {
  /** Only the balancer can connect: the address that it adds last is who connected to it. Else it is who connects. */
  readonly isBehindBalancer: boolean;
  /** Where proxies before that are: theirs is not the caller's, but the one that they add. What anybody else says is not believed. */
  readonly trustedProxies: Networks;
  /** Where the same is found over MCP. */
  readonly mcpUrl: string | undefined;
  /** Told of what is our mistake. */
  readonly onMistake: (error: unknown) => void;
  /** A request has to be there whole after so long, or half as long again; then its connection is closed. Default RECEIVE_TIMEOUT_MS. */
  readonly receiveTimeoutMs?: number;
};

/** Makes it; listening is the caller's. */
export function makeServer(
  tools: ApiTools,
  health: Health,
  { isBehindBalancer, trustedProxies, mcpUrl, onMistake, receiveTimeoutMs = RECEIVE_TIMEOUT_MS }: ServerOptions,
): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    trustProxy: (address, hop) => (isBehindBalancer && hop === 0) || trustedProxies.has(address),
    // What still comes on an open connection while we close is answered.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    // Longer than the balancer keeps an idle connection, or it would send a request into one that we close.
    keepAliveTimeout: 75_000,
    requestTimeout: receiveTimeoutMs,
    http: { headersTimeout: receiveTimeoutMs, connectionsCheckingInterval: receiveTimeoutMs / 2 },
  });
  app.decorateRequest("admitted", undefined);
  measureBodies(app);
  app.addHook("onResponse", (request, reply, done) => {
    const operation = request.routeOptions.config.operation ?? "other";
    tools.metrics.request(operation, reply.statusCode, reply.elapsedTime);
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    let problem = problemOf(error);
    if (problem === undefined) {
      onMistake(error);
      problem = new ApiProblem("INTERNAL_ERROR");
    }
    // Fastify closes then, and who is still sending sees a broken pipe and no answer. Kept open, the rest is read and thrown away.
    if (problem.code === "PAYLOAD_TOO_LARGE") reply.removeHeader("connection");
    return sendProblem(request, reply, problem);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, new ApiProblem("ROUTE_NOT_FOUND")));
  bindRoutes(app, ROUTES, {
    tools,
    health,
    document: JSON.stringify(openApiDocument(ROUTES)),
    discovered: { routes: ROUTES, mcpUrl },
  });
  return app;
}

/** A body that comes in chunks tells no length before it is there: what waits with it would count for nothing. */
function measureBodies(app: FastifyInstance): void {
  app.decorateRequest("bodyBytes", 0);
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body: string, done) => {
    request.bodyBytes = Buffer.byteLength(body);
    void parseJson(request, body, done);
  });
  app.addContentTypeParser("text/plain", { parseAs: "string" }, (request, body: string, done) => {
    request.bodyBytes = Buffer.byteLength(body);
    done(null, body);
  });
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: ApiProblem): FastifyReply {
  const form = formOf(request.headers.accept);
  if (problem.retryAfterS !== undefined) reply.header("retry-after", String(problem.retryAfterS));
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  const type = form === "ours" ? "application/json; charset=utf-8" : "application/problem+json; charset=utf-8";
  return reply
    .code(problem.status)
    .header("content-type", type)
    .send(JSON.stringify(problemBody(problem, form)));
}
