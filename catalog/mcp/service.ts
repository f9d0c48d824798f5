/** The MCP service as a program's part: its HTTP server and its pages. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  createMcpHandler,
  type McpHttpHandler,
  type McpRequestContext,
  type McpServer,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { callerAddress, countedAs, type Networks } from "../../src/platform/caller-address.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { metricsText } from "../metrics/text.ts";
import type { HttpApi } from "./api-client.ts";
import { BODY_BYTES_MAX, Bodies } from "./bodies.ts";
import { ADDRESS_HEADER, type McpTools, makeMcpServer } from "./mcp.ts";
import { Strangers } from "./strangers.ts";
import { ucpProfile } from "./ucp.ts";
import { UCP_VERSION } from "./ucp-product.ts";

/** What the service is told. */
export type McpServiceRequest = {
  readonly host: string;
  readonly port: number;
  /** Names of hosts whose pages may call us; a browser says of a page where it is from, a program says nothing. */
  readonly origins: readonly string[];
  /** How the service is reached from outside, for the UCP profile. */
  readonly publicUrl: string;
  /** Where proxies before us are, whose x-forwarded-for is believed. */
  readonly trustedProxies: Networks;
  readonly onMistake: (error: unknown) => void;
  /** Adds to what the service offers: what a conformance suite calls. */
  readonly addMore?: (server: McpServer) => void;
  /** A request has to be there whole after so long, or half as long again; then its connection is closed. Default RECEIVE_TIMEOUT_MS. */
  readonly receiveTimeoutMs?: number;
};

/** So many are answered at a time; more would only wait for the API. One that is not whole is not among them. */
const OPEN_MAX = 256;
/** From the first byte of a request to its last: the longest body by a line of a megabit a second. How long an answer takes is not counted. */
const RECEIVE_TIMEOUT_MS = 20_000;
/** What a request is made of does not know them. */
const METHODS_UNKNOWN = ["CONNECT", "TRACE", "TRACK"];

const NOTHING = { error: "there is nothing at this path" } as const;

/** A running service. */
export class McpService {
  readonly #clock: Clock;
  readonly #api: HttpApi;
  readonly #request: McpServiceRequest;
  readonly #strangers: Strangers;
  readonly #handler: McpHttpHandler;
  readonly #server: Server;
  readonly #bodies = new Bodies();
  readonly #calls = new Map<string, number>();
  readonly #seconds = new Map<string, number>();
  #open = 0;
  #isStopping = false;

  private constructor(clock: Clock, api: HttpApi, request: McpServiceRequest) {
    this.#clock = clock;
    this.#api = api;
    this.#request = request;
    this.#strangers = new Strangers(clock);
    const tools = {
      api,
      strangers: this.#strangers,
      called: (tool: string, outcome: string, durationMs: number) => this.#count(tool, outcome, durationMs),
      monotonic: () => clock.monotonic(),
    };
    this.#handler = createMcpHandler((context) => this.#serverOf(tools, context), {
      maxRequestBodySize: BODY_BYTES_MAX,
      onerror: () => undefined,
    });
    const { receiveTimeoutMs = RECEIVE_TIMEOUT_MS } = request;
    const limits = {
      requestTimeout: receiveTimeoutMs,
      headersTimeout: receiveTimeoutMs,
      connectionsCheckingInterval: receiveTimeoutMs / 2,
    };
    this.#server = createServer(limits, (incoming, outgoing) => {
      this.#answer(incoming, outgoing).catch((error: unknown) => {
        request.onMistake(error);
        if (!outgoing.headersSent) outgoing.writeHead(500);
        outgoing.end();
      });
    });
    this.#server.keepAliveTimeout = 75_000;
  }

  /** Starts it; resolves when it listens. */
  static async start(clock: Clock, api: HttpApi, request: McpServiceRequest): Promise<McpService> {
    const service = new McpService(clock, api, request);
    await new Promise<void>((resolve, reject) => {
      service.#server.once("error", reject);
      service.#server.listen(request.port, request.host, resolve);
    });
    return service;
  }

  /** The port that it listens on. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : this.#request.port;
  }

  /** Ends it: what is being answered is answered. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    await closed;
    await this.#handler.close();
  }

  #serverOf(tools: McpTools, context: McpRequestContext): McpServer {
    const server = makeMcpServer(tools, context);
    this.#request.addMore?.(server);
    return server;
  }

  #count(tool: string, outcome: string, durationMs: number): void {
    const key = `tool="${tool}",outcome="${outcome}"`;
    this.#calls.set(key, (this.#calls.get(key) ?? 0) + 1);
    this.#seconds.set(tool, (this.#seconds.get(tool) ?? 0) + durationMs / 1_000);
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = URL.parse(incoming.url ?? "/", "http://here")?.pathname;
    if (METHODS_UNKNOWN.includes(incoming.method ?? "")) return send(outgoing, 405, { error: "method not allowed" });
    if (path === "/mcp" || path === "/") return await this.#mcp(incoming, outgoing);
    if (incoming.method !== "GET" && incoming.method !== "HEAD")
      return send(outgoing, 405, { error: "method not allowed" });
    switch (path) {
      case "/health/live":
        return send(outgoing, 200, { status: "ok" });
      case "/health/ready":
        return send(outgoing, this.#isStopping ? 503 : 200, { status: this.#isStopping ? "stopping" : "ok" });
      case "/health":
        return await this.#health(outgoing);
      case "/metrics": {
        // For this machine, and not for who comes through a proxy: as the front has it.
        const { forwarded, "x-forwarded-for": passedOn } = incoming.headers;
        if (forwarded !== undefined || passedOn !== undefined) return send(outgoing, 404, NOTHING);
        return sendText(outgoing, this.#metrics());
      }
      case "/.well-known/ucp":
        return send(outgoing, 200, ucpProfile(this.#request.publicUrl, UCP_VERSION));
      default:
        return send(outgoing, 404, NOTHING);
    }
  }

  async #mcp(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    // A page of somebody else's, open in a browser beside us, must not speak for its reader.
    if (!validateOriginHeader(incoming.headers.origin, [...this.#request.origins]).ok) {
      return send(outgoing, 403, { jsonrpc: "2.0", id: null, error: { code: -32000, message: "origin not allowed" } });
    }
    if (!isOurHost(incoming.headers.host, this.#request.origins)) {
      return send(outgoing, 403, { jsonrpc: "2.0", id: null, error: { code: -32000, message: "host not allowed" } });
    }
    const gone = new AbortController();
    outgoing.once("close", () => gone.abort());
    const address = this.#addressOf(incoming);
    const body = await this.#bodies.read(incoming, address);
    if (body.kind === "gone") return;
    if (body.kind === "full" || this.#open >= OPEN_MAX) {
      outgoing.setHeader("retry-after", "1");
      return send(outgoing, 503, {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32000, message: "too many requests at once" },
      });
    }
    this.#open += 1;
    try {
      const response = await this.#handler.fetch(
        requestOf(incoming, { signal: gone.signal, address, body: body.bytes }),
      );
      await write(response, outgoing);
    } finally {
      this.#open -= 1;
    }
  }

  #addressOf(incoming: IncomingMessage): string {
    // Several headers of the name are one list to Node.
    const forwarded = incoming.headers["x-forwarded-for"];
    const asked = { peer: incoming.socket.remoteAddress ?? "", forwarded: forwarded?.toString() };
    return countedAs(callerAddress(asked, this.#request.trustedProxies));
  }

  /** Asks the API: what an agent would get is what counts. */
  async #health(outgoing: ServerResponse): Promise<void> {
    const begun = this.#clock.monotonic();
    const answer = await this.#api.get("/health/ready", {}, { key: undefined }).catch(() => undefined);
    const isOk = answer !== undefined && !this.#isStopping;
    send(outgoing, isOk ? 200 : 503, {
      status: isOk ? "ok" : "down",
      dependencies: {
        api: { status: answer === undefined ? "away" : "ok", ms: Math.round(this.#clock.monotonic() - begun) },
      },
    });
  }

  #metrics(): string {
    const seconds = [...this.#seconds].map(([tool, value]) => [`tool="${tool}"`, value] as const);
    return metricsText([
      {
        name: "catalog_mcp_calls_total",
        help: "Calls of tools by outcome.",
        kind: "counter",
        samples: this.#calls,
      },
      {
        name: "catalog_mcp_call_seconds_total",
        help: "Seconds spent in tools.",
        kind: "counter",
        samples: seconds,
      },
      {
        name: "catalog_mcp_open_requests",
        help: "Requests being answered.",
        kind: "gauge",
        samples: [["", this.#open]],
      },
      {
        name: "catalog_mcp_strangers_refused_total",
        help: "Questions without a key beyond what an address may ask in a minute.",
        kind: "counter",
        samples: [["", this.#strangers.refused]],
      },
      {
        name: "catalog_mcp_api_up",
        help: "1 when the last call reached an instance of the API.",
        kind: "gauge",
        samples: [["", this.#api.reached === undefined ? undefined : Number(this.#api.reached)]],
      },
    ]);
  }
}

/** The name in a Host header, without its port, is one of ours: a page that rebinds its own name to our address is not. */
function isOurHost(host: string | undefined, names: readonly string[]): boolean {
  const name = host?.replace(/:\d+$/, "").toLowerCase();
  return name !== undefined && names.includes(name) && URL.canParse(`http://${host}`);
}

function requestOf(
  incoming: IncomingMessage,
  {
    signal,
    address,
    body,
  }: { readonly signal: AbortSignal; readonly address: string; readonly body: Buffer<ArrayBuffer> },
): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const each of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, each);
  }
  headers.set(ADDRESS_HEADER, address);
  const method = incoming.method ?? "GET";
  const hasBody = method !== "GET" && method !== "HEAD";
  const init: RequestInit = { method, headers, signal, ...(hasBody ? { body } : {}) };
  return new Request(new URL(incoming.url ?? "/", `http://${incoming.headers.host ?? "localhost"}`), init);
}

async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) {
    outgoing.end();
    return;
  }
  // Whoever asked may go away in the middle; the handler is told by the signal.
  await pipeline(Readable.fromWeb(response.body), outgoing).catch(() => undefined);
}

function send(outgoing: ServerResponse, status: number, body: object): void {
  outgoing.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

function sendText(outgoing: ServerResponse, text: string): void {
  outgoing.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text);
}
