/** The scheduler's pages: how it is, and its counts in Prometheus' text format. */
import { createServer, type Server } from "node:http";
import type { ListenOptions } from "node:net";
import { type Metric, metricsText } from "../metrics/text.ts";
import type { SchemaWatch } from "../schema/schema-watch.ts";
import type { Scheduler } from "./scheduler.ts";
import { HIT_RATE_GOAL, type Warmer } from "./warmer/warmer.ts";

/** What the pages tell of. */
export type PageTools = {
  readonly scheduler: Pick<Scheduler, "silentMs" | "running" | "totals">;
  readonly schema: Pick<SchemaWatch, "state">;
  readonly warmer: Warmer | undefined;
};

/** A database that is silent for longer is an outage; a failover takes seconds. */
const SILENT_MAX_MS = 60_000;

/** What `/health` says. */
export function healthOf({ scheduler, schema, warmer }: PageTools): {
  readonly status: "ok" | "down";
  readonly [name: string]: unknown;
} {
  const { silentMs } = scheduler;
  const isThere = silentMs !== undefined && silentMs < SILENT_MAX_MS;
  return {
    status: isThere && schema.state !== "older" ? "ok" : "down",
    dependencies: {
      database: {
        status: isThere ? "ok" : "away",
        schema: schema.state,
        silent_ms: silentMs === undefined ? null : Math.round(silentMs),
      },
    },
    running: scheduler.running,
    cache: { hit_rate: warmer?.hitRate ?? null, goal: HIT_RATE_GOAL, warmed_in_ms: warmer?.warmedInMs ?? null },
  };
}

/** All counts. */
export function metricsOf({ scheduler, warmer }: PageTools): string {
  const metrics: Metric[] = [];
  const metric = (name: string, kind: Metric["kind"], help: string, samples: Metric["samples"]): void => {
    metrics.push({ name, kind, help, samples });
  };
  const labelled = (first: string, label: string): readonly (readonly [string, number])[] =>
    [...scheduler.totals].flatMap(([name, value]) =>
      name.startsWith(`${first} `) ? [[`${label}="${name.slice(first.length + 1)}"`, value] as const] : [],
    );
  metric("catalog_scraper_runs_total", "counter", "Runs of sources by their end.", labelled("runs", "end"));
  metric("catalog_scraper_rows_total", "counter", "Offers by what became of them.", labelled("rows", "outcome"));
  metric(
    "catalog_scraper_rejected_rows_total",
    "counter",
    "Rows that were not taken, by reason.",
    labelled("rejected", "reason"),
  );
  metric("catalog_scraper_price_changes_total", "counter", "Prices that changed.", [
    ["", scheduler.totals.get("price-changes") ?? 0],
  ]);
  metric("catalog_scraper_running", "gauge", "Sources that are read now.", [["", scheduler.running.length]]);
  metric("catalog_scraper_database_silent_seconds", "gauge", "Since the database last answered.", [
    ["", scheduler.silentMs === undefined ? undefined : scheduler.silentMs / 1_000],
  ]);
  if (warmer !== undefined) {
    metric(
      "catalog_cache_found_hit_ratio",
      "gauge",
      "Share of what is asked most that came from a copy before warming.",
      [["", warmer.foundRate]],
    );
    metric("catalog_cache_warm_hit_ratio", "gauge", "Share of the last warming round that came from a copy.", [
      ["", warmer.hitRate],
    ]);
    metric("catalog_cache_warm_rounds_total", "counter", "Rounds of warming.", [["", warmer.totals.rounds]]);
    metric("catalog_cache_warm_requests_total", "counter", "Requests of warming by outcome.", [
      ['outcome="hit"', warmer.totals.hits],
      ['outcome="miss"', warmer.totals.asked - warmer.totals.hits - warmer.totals.failed],
      ['outcome="failed"', warmer.totals.failed],
    ]);
    metric("catalog_cache_warm_seconds", "gauge", "How long the cache took the last time from cold to its goal.", [
      ["", warmer.warmedInMs === undefined ? undefined : warmer.warmedInMs / 1_000],
    ]);
  }
  return metricsText(metrics);
}

/** Serves the pages; resolves when it listens. */
export async function servePages(tools: PageTools, at: ListenOptions): Promise<Server> {
  const server = createServer((request, response) => {
    const json = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
    };
    const health = healthOf(tools);
    // An address that is none, such as `//`, must not end the program.
    switch (URL.parse(request.url ?? "/", "http://here")?.pathname) {
      case "/health/live":
        return json(200, { status: "ok" });
      case "/health/ready":
      case "/health":
        return json(health.status === "ok" ? 200 : 503, health);
      case "/metrics":
        response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(metricsOf(tools));
        return;
      default:
        return json(404, { error: "there is nothing at this path" });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, resolve);
  });
  return server;
}
