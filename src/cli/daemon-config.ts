/** The configuration that the stack's daemon is given: what this command resolved, from wherever it came. Pure. */
import { type Config, SETTINGS } from "../config/schema.ts";
import type { AnyValueKind } from "../config/value-kind.ts";

const SECTIONS = ["stack", "folders", "postgres", "failover"] as const;

/** A lifeboat.yaml with the sections that the daemon uses. Nothing of it is secret. */
export function daemonConfigOf(config: Config): string {
  const lines = ["# Written by lifeboat up from its own configuration; changes made here are lost."];
  for (const section of SECTIONS) {
    const values: Readonly<Record<string, unknown>> = config[section];
    const settings: Readonly<Record<string, { readonly kind: AnyValueKind }>> = SETTINGS[section].settings;
    const rows = Object.entries(settings).flatMap(([name, { kind }]) => {
      const value = values[name];
      if (value === undefined) return [];
      // The value was read by this kind.
      return [`  ${name}: ${JSON.stringify(kind.format(value as never))}`];
    });
    if (rows.length > 0) lines.push(`${section}:`, ...rows);
  }
  return `${lines.join("\n")}\n`;
}
