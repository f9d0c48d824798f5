/** The document of the API, made of the schemas that its requests are checked with. Pure. */
import { z } from "zod";
import { documentSchema } from "./json-schema.ts";
import { PROBLEMS } from "./problems.ts";
import { type Route, statusOf } from "./route.ts";

/** OpenAPI 3.1. */
export function openApiDocument(routes: readonly Route[]): Readonly<Record<string, unknown>> {
  const components = new Map<string, Readonly<Record<string, unknown>>>();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const each of routes) {
    const url = each.route.path.replace(/:(\w+)/g, "{$1}");
    paths[url] ??= {};
    Object.assign(paths[url], { [each.route.method.toLowerCase()]: operationOf(each, components) });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Product catalogue",
      version: "1.0.0",
      description:
        "Offers of many merchants: search, compare, prices over time. Every answer of a read may be a kept copy; `stale: true` marks one that is older than it should be.",
    },
    servers: [{ url: "/" }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: "http", scheme: "bearer", description: "A key from POST /v1/auth/register." } },
      schemas: { ...Object.fromEntries(components), ...PROBLEM_SCHEMAS },
    },
  };
}

function operationOf(each: Route, components: Map<string, Readonly<Record<string, unknown>>>): object {
  const { kind, route } = each;
  const isOpen = kind === "look" || (kind === "write" && route.scope === undefined);
  const answer = {
    description: "As asked.",
    content: { [mediaOf(each)]: { schema: documentSchema(route.answer, "output", components) } },
  };
  return {
    operationId: route.operation,
    summary: route.summary,
    ...(isOpen ? { security: [] } : {}),
    parameters:
      kind === "look"
        ? []
        : [
            ...(kind === "own" ? [] : parametersOf(route.params, "path", components)),
            ...(kind === "note" ? [] : parametersOf(route.query, "query", components)),
            ...(kind === "write" ? [IDEMPOTENCY_PARAMETER] : []),
          ],
    ...bodyOf(each, components),
    responses: {
      [statusOf(each)]: answer,
      ...(kind === "look" ? Object.fromEntries((route.statuses ?? []).map((status) => [status, answer])) : {}),
      ...(kind === "look" ? {} : { default: PROBLEM_ANSWER }),
    },
  };
}

function mediaOf({ kind, route }: Route): string {
  return kind === "look" ? (route.media ?? "application/json").split(";", 1).join("") : "application/json";
}

function bodyOf({ kind, route }: Route, components: Map<string, Readonly<Record<string, unknown>>>): object {
  if (kind === "look" || kind === "note" || kind === "own" || route.body === undefined) return {};
  const schema = documentSchema(route.body, "input", components);
  return { requestBody: { required: true, content: { "application/json": { schema } } } };
}

const PROBLEM_ANSWER = {
  description: "A problem; its code is one of the list.",
  content: {
    "application/json": { schema: { $ref: "#/components/schemas/Problem" } },
    "application/problem+json": { schema: { $ref: "#/components/schemas/ProblemDetails" } },
  },
};

function parametersOf(
  schema: z.ZodType | undefined,
  where: "path" | "query",
  components: Map<string, Readonly<Record<string, unknown>>>,
): readonly object[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, inner]) => {
    const type = inner as z.ZodType;
    const { description, ...rest } = documentSchema(type, "input", components);
    const required = where === "path" || !type.safeParse(undefined).success;
    return { name, in: where, required, schema: rest, ...(description === undefined ? {} : { description }) };
  });
}

const IDEMPOTENCY_PARAMETER = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  schema: { type: "string", minLength: 1, maxLength: 255 },
  description: "Does the request once, however often it is sent with this key within a day.",
};

const CODES = { type: "string", enum: Object.keys(PROBLEMS) };

const PROBLEM_SCHEMAS = {
  Problem: {
    type: "object",
    required: ["error"],
    properties: {
      error: {
        type: "object",
        required: ["code", "message", "doc_url"],
        properties: { code: CODES, message: { type: "string" }, doc_url: { type: "string" } },
      },
    },
  },
  ProblemDetails: {
    type: "object",
    description: "RFC 9457, for those who accept application/problem+json.",
    required: ["type", "title", "status", "code"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string" },
      code: CODES,
    },
  },
};
