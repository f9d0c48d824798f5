/** JSON of what the failover code knows: LSNs as PostgreSQL prints them, maps as objects. */
import { formatLsn, type Lsn } from "../postgres/lsn.ts";

/** A value as JSON. What JSON has no form for is left out, as JSON.stringify does. */
export function toPlainJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown): unknown => {
    if (typeof each === "bigint") return formatLsn(each as Lsn);
    return each instanceof Map ? Object.fromEntries(each as Map<string, unknown>) : each;
  });
}

/** A value as it comes back from JSON. */
export function plainOf(value: unknown): unknown {
  const text = toPlainJson(value) as string | undefined;
  return text === undefined ? null : JSON.parse(text);
}
