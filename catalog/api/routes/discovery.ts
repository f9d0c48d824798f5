/** The pages by which the service is found out. */
import { z } from "zod";
import { agentDocument, apiCatalog, llmsText, mcpDocument } from "../discovery.ts";
import { ApiProblem } from "../problems.ts";
import { look } from "../route.ts";

const mcpSchema = z.object({
  name: z.string(),
  url: z.string(),
  transport: z.literal("streamable-http"),
  authentication: z.object({ scheme: z.literal("bearer"), required: z.boolean() }),
});

/** Routes of this file. */
export const DISCOVERY_ROUTES = [
  look({
    path: "/llms.txt",
    operation: "llms",
    counted: "document",
    summary: "What there is and where, for language models.",
    answer: z.string(),
    media: "text/markdown; charset=utf-8",
    show: ({ discovered }) => ({ body: llmsText(discovered) }),
  }),
  look({
    path: "/.well-known/api-catalog",
    operation: "apiCatalog",
    counted: "document",
    summary: "Where the description of the API is, as RFC 9727 has it.",
    answer: z.object({ linkset: z.array(z.looseObject({ anchor: z.string() })) }),
    media: "application/linkset+json",
    show: () => ({ body: apiCatalog() }),
  }),
  look({
    path: "/.well-known/agent",
    operation: "agentDocument",
    counted: "document",
    summary: "What an agent needs for its first call.",
    answer: z.looseObject({ name: z.string(), openapi: z.string(), mcp: mcpSchema.optional() }),
    show: ({ discovered }) => ({ body: agentDocument(discovered) }),
  }),
  look({
    path: "/.well-known/mcp",
    operation: "mcpDocument",
    counted: "document",
    summary: "Where the same is found over MCP; 404 where it is not.",
    answer: mcpSchema,
    show: ({ discovered: { mcpUrl } }) => {
      if (mcpUrl === undefined) throw new ApiProblem("ROUTE_NOT_FOUND");
      return { body: mcpDocument(mcpUrl) };
    },
  }),
];
