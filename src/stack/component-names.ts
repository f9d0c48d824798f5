/**
 * The components of a stack by their names. Loaded with every command: it imports nothing.
 *
 * The compiler names what a new one needs (how it is run, specs.ts; its files, render.ts; its place in the start, plan.ts and
 * steps.ts; what `ps` says when it idles) but for its turn in STOP_ORDER, which a test demands.
 */

/** In the order in which they start. */
export const COMPONENT_NAMES = [
  "db",
  "receiver",
  "db_replica",
  "redis",
  "pgbouncer",
  "pooler_watch",
  "api",
  "haproxy",
  "mcp",
  "scraper-scheduler",
  "daemon",
] as const;

/** The name of a component. */
export type ComponentName = (typeof COMPONENT_NAMES)[number];
