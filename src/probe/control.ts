/** What a running probe can be told, a line at a time. Pure. */

/** A line, understood. */
export type Control =
  | { readonly kind: "mark"; readonly label: string; readonly atMs: number | undefined }
  | { readonly kind: "stop" }
  | { readonly kind: "unknown"; readonly line: string };

/** Reads `fault`, `fault LABEL`, `fault SECONDS`, `fault LABEL SECONDS` (since 1970, with a fraction) and `stop`. */
export function parseControl(line: string): Control {
  const [verb = "", ...words] = line.trim().split(/\s+/);
  if (verb === "stop" && words.length === 0) return { kind: "stop" };
  const last = words.at(-1) ?? "";
  const atMs = /^\d{9,}(\.\d+)?$/.test(last) ? Number(last) * 1_000 : undefined;
  const rest = atMs === undefined ? words : words.slice(0, -1);
  if (verb !== "fault" || rest.length > 1) return { kind: "unknown", line };
  return { kind: "mark", label: rest[0] ?? "fault", atMs };
}
