/** What a stack's controller wrote of the events it acted on: docs/formats describes the reports. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { EventFacts } from "./failover-plan.ts";

type EventReport = EventFacts & { readonly format: string; readonly beganAt: string; readonly endedAt: string };

/** The newest report below the folder of an event that ended after a moment, in milliseconds since 1970. */
export async function newestEvent(folder: string, afterMs: number): Promise<EventFacts | undefined> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => /(^|\/)reports\/[^/]+\.json$/.test(name));
  const reports = (await Promise.all(names.map((name) => readReport(path.join(folder, name)))))
    .filter((report) => report !== undefined)
    .filter(({ endedAt }) => Date.parse(endedAt) > afterMs)
    .toSorted((a, b) => Date.parse(a.endedAt) - Date.parse(b.endedAt));
  const newest = reports.at(-1);
  if (newest === undefined) return undefined;
  const { kind, outageMs, parts, steps } = newest;
  return { kind, outageMs, parts, steps };
}

/** Undefined for anything else, and for one that is being written. */
async function readReport(file: string): Promise<EventReport | undefined> {
  try {
    const report: EventReport = JSON.parse(await readFile(file, "utf8"));
    return report.format === "lifeboat-event-report" ? report : undefined;
  } catch {
    return undefined;
  }
}
