/**
 * The catalogue for agents, over the Model Context Protocol.
 *
 * Nouns: a *tool* is one thing an agent can ask for, with schemas of what comes in and what goes out (tools.ts); the *UCP tools*
 * speak the words of the Universal Commerce Protocol (ucp.ts); an *era* is a way of speaking the protocol: of 2026-07-28, where
 * every request stands for itself, or of the years before, with a handshake.
 * Invariants: nothing is remembered between two requests, so that any instance answers any of them and a killed one loses
 * nothing but what it was answering; all data comes from the REST API, through the balancer; what only some callers may do is
 * done with the caller's own key, never with ours.
 */
import { type McpRequestContext, McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { z } from "zod";
import { type ApiClient, ApiFailure } from "./api-client.ts";
import type { Strangers } from "./strangers.ts";
import { TOOLS, type Tool } from "./tools.ts";
import { UCP_TOOLS } from "./ucp.ts";

/** How the service calls itself. */
const SERVER = { name: "buywhere-catalog", title: "BuyWhere catalogue", version: "1.0.0" } as const;

const INSTRUCTIONS =
  "Product offers of merchants in Singapore, South-East Asia and the United States. Search first, then get_product or " +
  "find_best_price by the id found; prices are in the offer's own currency, and in SGD beside.";

/** Lists change only with a new version of the service. */
const LIST_HINT = { ttlMs: 300_000, cacheScope: "public" } as const;
/** As long as the API's own copies are fresh. */
const READ_HINT = { ttlMs: 15_000, cacheScope: "public" } as const;

/** Where a request says its caller's address: written by us, whatever the caller wrote there. */
export const ADDRESS_HEADER = "x-lifeboat-caller";

/** All tools, in the order in which they are listed. */
export const ALL_TOOLS: readonly Tool[] = [...TOOLS, ...UCP_TOOLS];

/** What a request's server needs. */
export type McpTools = {
  readonly api: ApiClient;
  readonly strangers: Strangers;
  /** Told of each call of a tool. */
  readonly called: (tool: string, outcome: "ok" | "refused" | "failed", durationMs: number) => void;
  readonly monotonic: () => number;
};

/** The server of one request. */
export function makeMcpServer(tools: McpTools, context: Pick<McpRequestContext, "requestInfo">): McpServer {
  const server = new McpServer(SERVER, {
    instructions: INSTRUCTIONS,
    capabilities: { tools: {}, resources: {}, prompts: {} },
    cacheHints: {
      "tools/list": LIST_HINT,
      "prompts/list": LIST_HINT,
      "resources/list": LIST_HINT,
      "resources/templates/list": LIST_HINT,
      "resources/read": READ_HINT,
      "server/discover": LIST_HINT,
    },
  });
  const key = callerKey(context.requestInfo);
  const api = tools.strangers.within(tools.api, context.requestInfo?.headers.get(ADDRESS_HEADER) ?? "");
  for (const tool of ALL_TOOLS) register(server, tool, { ...tools, api }, key);
  addResources(server, api, key);
  addPrompts(server);
  return server;
}

/** The caller's key: the same header as the REST API's. */
function callerKey(request: Request | undefined): string | undefined {
  const header = request?.headers.get("authorization") ?? undefined;
  return header !== undefined && /^(Bearer|ApiKey)\s+\S{1,200}$/i.test(header) ? header : undefined;
}

function register(server: McpServer, tool: Tool, { api, called, monotonic }: McpTools, key: string | undefined): void {
  const { name, title, description, input, output, annotations } = tool;
  server.registerTool(
    name,
    {
      title,
      description,
      inputSchema: input,
      outputSchema: output,
      annotations: { openWorldHint: false, ...annotations },
    },
    async (args, { mcpReq }) => {
      const begun = monotonic();
      try {
        const answer = await tool.call({ api, key, signal: mcpReq.signal }, args);
        called(name, "ok", monotonic() - begun);
        return { content: [{ type: "text", text: JSON.stringify(answer) }], structuredContent: { ...answer } };
      } catch (error) {
        // What the API refuses, the agent can mend or report; all else is our mistake and goes on its way.
        if (!(error instanceof ApiFailure)) {
          called(name, "failed", monotonic() - begun);
          throw error;
        }
        called(name, error.isRefusal ? "refused" : "failed", monotonic() - begun);
        return { isError: true, content: [{ type: "text", text: error.forAgents }] };
      }
    },
  );
}

function addResources(server: McpServer, api: ApiClient, key: string | undefined): void {
  const json = (uri: string, answer: object) => ({
    contents: [{ uri, mimeType: "application/json", text: JSON.stringify(answer) }],
  });
  server.registerResource(
    "categories",
    "catalog://categories",
    {
      title: "Categories",
      description: "All categories with the number of their offers.",
      mimeType: "application/json",
    },
    async (uri) => json(uri.href, await api.get("/v1/categories", {}, { key })),
  );
  server.registerResource(
    "product",
    new ResourceTemplate("catalog://products/{id}", { list: undefined }),
    { title: "Product", description: "One offer with all that is known of it.", mimeType: "application/json" },
    async (uri, { id }) => json(uri.href, await api.get(`/v1/products/${encodeURIComponent(String(id))}`, {}, { key })),
  );
}

function addPrompts(server: McpServer): void {
  server.registerPrompt(
    "find_a_deal",
    {
      title: "Find a deal",
      description: "Find the best offer of something in a country, and say why it is.",
      argsSchema: z.object({ what: z.string().min(1).max(200), country_code: z.string().length(2).optional() }),
    },
    ({ what, country_code: country }) => ({
      messages: [
        {
          role: "user",
          content: {
            type: "text",
            text: `Find the best offer of ${what}${country === undefined ? "" : ` in ${country}`}: search_products, then find_best_price of the one that fits best and its price history. Name merchant, price, stock and how fresh the offer is.`,
          },
        },
      ],
    }),
  );
}
