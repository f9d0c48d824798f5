/** The components of a stack by their names. Loaded with every command: it imports nothing. */

/** In the order in which they start. */
export const COMPONENT_NAMES = ["db", "receiver", "db_replica", "redis", "pgbouncer", "haproxy"] as const;

/** The name of a component. */
export type ComponentName = (typeof COMPONENT_NAMES)[number];
