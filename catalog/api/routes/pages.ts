/** What an instance tells of itself, to people, balancers and collectors of metrics. */
import { z } from "zod";
import { READINESS } from "../health.ts";
import { problemsPage } from "../problems.ts";
import { look } from "../route.ts";

const view = z.enum(["unknown", "primary", "replica", "silent"]);

const healthSchema = z.object({
  status: z.enum(["ok", "degraded", "down"]),
  instance: z.string(),
  can_read: z.boolean(),
  can_write: z.boolean(),
  dependencies: z.object({
    database: z.object({ status: view, schema: z.enum(["unasked", "older", "fits", "newer"]) }),
    reads: z.object({ status: z.enum([...view.options, "none"]) }),
    redis: z.object({ status: z.enum(["ok", "away", "none"]) }),
  }),
  writes_waiting: z.int(),
});

/** Routes of this file. */
export const PAGE_ROUTES = [
  look({
    path: "/health",
    operation: "health",
    counted: "health",
    summary: "How the instance and what it depends on are; 503 when nothing can be answered.",
    answer: healthSchema,
    statuses: [503],
    show: ({ health }) => {
      const report = health.report();
      return { status: report.status === "down" ? 503 : 200, body: report };
    },
  }),
  look({
    path: "/health/live",
    operation: "isLive",
    counted: "health",
    summary: "200 while the process runs, whatever it depends on.",
    answer: z.object({ status: z.literal("ok") }),
    show: () => ({ body: { status: "ok" } }),
  }),
  look({
    path: "/health/ready",
    operation: "isReady",
    counted: "health",
    summary: "200 while reads can be answered from anywhere: whether the balancer sends requests here.",
    answer: z.object({ status: z.enum(["ok", "not ready"]), reason: z.enum(READINESS) }),
    statuses: [503],
    show: ({ health }) => {
      const reason = health.readiness();
      const isReady = reason === "ready";
      return { status: isReady ? 200 : 503, body: { status: isReady ? "ok" : "not ready", reason } };
    },
  }),
  look({
    path: "/metrics",
    operation: "metrics",
    counted: "metrics",
    summary: "Counts of this instance, in Prometheus' text format.",
    answer: z.string(),
    media: "text/plain; version=0.0.4",
    show: ({ tools }) => ({ body: tools.metrics.text() }),
  }),
  look({
    path: "/openapi.json",
    operation: "document",
    counted: "document",
    summary: "This document.",
    answer: z.looseObject({ openapi: z.string() }),
    show: ({ document }) => ({ body: document }),
  }),
  look({
    path: "/docs/errors",
    operation: "problems",
    counted: "document",
    summary: "What each code of a problem means.",
    answer: z.string(),
    media: "text/html; charset=utf-8",
    show: () => ({ body: problemsPage() }),
  }),
];
