/** What programs are told that come without knowing anything of this service: where its description is, and how to begin. Pure. */
import { TIERS } from "../keys/key.ts";
import type { Route } from "./route.ts";

/** What is told of. */
export type Discovered = {
  readonly routes: readonly Route[];
  /** Where the same is found over MCP, as callers reach it. */
  readonly mcpUrl: string | undefined;
};

const NAME = "Product catalogue";
const WHAT = "Offers of many merchants in several countries: search, compare, prices over time, deals.";
const REGISTER = "/v1/auth/register";

/** For language models, in the form of llmstxt.org: what there is and where, in Markdown. */
export function llmsText({ routes, mcpUrl }: Discovered): string {
  const calls = routes.flatMap(({ kind, route }) =>
    kind === "look" ? [] : [`- \`${route.method} ${route.path.replace(/:(\w+)/g, "{$1}")}\`: ${route.summary}`],
  );
  const mcp = mcpUrl === undefined ? [] : [`- [MCP](${mcpUrl}): the same for agents, as tools (streamable HTTP)`];
  return `# ${NAME}

> ${WHAT}

A key comes at once: \`POST ${REGISTER}\` with \`{"agent_name": "…"}\`; send it as \`Authorization: Bearer <key>\`. A free key has ${TIERS.free} calls a
minute; every answer says in \`X-RateLimit-Remaining\` what is left, and 429 in \`Retry-After\` when to go on. Writes take an
\`Idempotency-Key\`, and are done once however often they are sent.

## Descriptions

- [OpenAPI 3.1](/openapi.json): every call with its schemas
- [Errors](/docs/errors): what each code means
- [Health](/health): how the service is
${mcp.join("\n")}${mcp.length === 0 ? "" : "\n"}
## Calls

${calls.join("\n")}
`;
}

/** As RFC 9727 has it: a link set of the one interface that there is. */
export function apiCatalog(): object {
  const link = (href: string, type: string): object => ({ href, type });
  return {
    linkset: [
      {
        anchor: "/v1",
        "service-desc": [link("/openapi.json", "application/json")],
        "service-doc": [link("/llms.txt", "text/markdown"), link("/docs/errors", "text/html")],
        status: [link("/health", "application/json")],
      },
    ],
  };
}

/** What an agent needs for its first call. */
export function agentDocument({ mcpUrl }: Discovered): object {
  return {
    name: NAME,
    description: WHAT,
    openapi: "/openapi.json",
    llms: "/llms.txt",
    registration: { method: "POST", url: REGISTER },
    authentication: { scheme: "bearer" },
    ...(mcpUrl === undefined ? {} : { mcp: mcpDocument(mcpUrl) }),
  };
}

/** Where the tools are. */
export function mcpDocument(url: string): object {
  return { name: NAME, url, transport: "streamable-http", authentication: { scheme: "bearer", required: false } };
}
