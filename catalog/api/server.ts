/** The HTTP server of one instance: its routes, and the pages that tell of the instance itself. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { admit, bindRoutes, problemOf } from "./bind.ts";
import type { Health } from "./health.ts";
import { openApiDocument } from "./openapi.ts";
import { ApiProblem, formOf, problemBody, problemsPage } from "./problems.ts";
import { ROUTES } from "./routes.ts";
import type { ApiTools } from "./tools.ts";

/** A thousand offers with long descriptions. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Under which name requests are counted. */
    operation?: string;
  }
}

/** Who connects, and who is told. */
export type ServerOptions = {
  /** Only the balancer can connect: the address that it adds last is the caller's. Else what a caller says of itself is not believed. */
  readonly isBehindBalancer: boolean;
  /** Told of what is our mistake. */
  readonly onMistake: (error: unknown) => void;
};

/** Makes it; listening is the caller's. */
export function makeServer(
  tools: ApiTools,
  health: Health,
  { isBehindBalancer, onMistake }: ServerOptions,
): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    trustProxy: isBehindBalancer ? (_address, hop) => hop === 0 : false,
    // What still comes on an open connection while we close is answered.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    // Longer than the balancer keeps an idle connection, or it would send a request into one that we close.
    keepAliveTimeout: 75_000,
  });
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
    return sendProblem(request, reply, problem);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, new ApiProblem("ROUTE_NOT_FOUND")));
  bindRoutes(app, ROUTES, tools);
  bindClicks(app, tools);
  bindPages(app, tools, health);
  return app;
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

/** A click is remembered with the next batch: nobody waits for it, and it may be lost. */
function bindClicks(app: FastifyInstance, tools: ApiTools): void {
  app.post<{ Params: { id: string } }>(
    "/v1/products/:id/clicks",
    { config: { operation: "clicked" } },
    async (request, reply) => {
      const product = Number(request.params.id);
      if (!Number.isSafeInteger(product) || product < 1) throw new ApiProblem("VALIDATION_ERROR", "path.id: is no id");
      const caller = await admit(request, reply, { tools, scope: "read" });
      tools.usage.clicked(caller?.id ?? 0, product);
      return reply.code(202).send({});
    },
  );
}

function bindPages(app: FastifyInstance, tools: ApiTools, health: Health): void {
  const document = JSON.stringify(openApiDocument(ROUTES));
  const page = (path: string, operation: string, answer: (reply: FastifyReply) => FastifyReply): void => {
    app.get(path, { config: { operation } }, async (_request, reply) => answer(reply));
  };
  page("/health/live", "health", (reply) => reply.send({ status: "ok" }));
  page("/health/ready", "health", (reply) => {
    const isReady = health.isReady();
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? "ok" : "not ready" });
  });
  page("/health", "health", (reply) => {
    const report = health.report();
    return reply.code(report.status === "down" ? 503 : 200).send(report);
  });
  page("/metrics", "metrics", (reply) => reply.type("text/plain; version=0.0.4").send(tools.metrics.text()));
  page("/openapi.json", "document", (reply) => reply.type("application/json").send(document));
  page("/docs/errors", "document", (reply) => reply.type("text/html; charset=utf-8").send(problemsPage()));
}
