/** What a stack's controller wrote of the events it acted on: docs/formats describes the reports. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { EventFacts, Rebuild } from "./failover-plan.ts";

type EventReport = EventFacts & { readonly format: string; readonly beganAt: string; readonly endedAt: string };

/** The newest report in the folder of them of an event that ended after a moment, in milliseconds since 1970. */
export async function newestEvent(folder: string, afterMs: number): Promise<EventFacts | undefined> {
  // Made with the first report.
  const found = await readdir(folder).catch(() => []);
  const names = found.filter((name) => name.endsWith(".json"));
  const reports = (await Promise.all(names.map((name) => readReport(path.join(folder, name)))))
    .filter((report) => report !== undefined)
    .filter(({ endedAt }) => Date.parse(endedAt) > afterMs)
    .toSorted((a, b) => Date.parse(a.endedAt) - Date.parse(b.endedAt));
  const newest = reports.at(-1);
  if (newest === undefined) return undefined;
  const { kind, outageMs, parts, steps } = newest;
  return { kind, outageMs, parts, steps };
}

/** The newest rebuild of a node that any of the controllers' logs tells of after a moment, in milliseconds since 1970. */
export async function newestRebuild(
  logs: readonly string[],
  of: { readonly node: string; readonly afterMs: number },
): Promise<Rebuild | undefined> {
  const texts = await Promise.all(logs.map((log) => readFile(log, "utf8").catch(() => "")));
  return rebuildIn(texts.join("\n"), of);
}

/** The newest one in the lines of a log. */
export function rebuildIn(text: string, of: { readonly node: string; readonly afterMs: number }): Rebuild | undefined {
  const told = [...text.matchAll(/^(\S+) (\S+) is made to follow \S+ \((\w+), (\d+) ms\)/gm)]
    .map(([, at = "", node, kind = "", ms]) => ({ atMs: Date.parse(at), node, kind, ms: Number(ms) }))
    .filter(({ node, atMs }) => node === of.node && atMs > of.afterMs)
    .toSorted((a, b) => a.atMs - b.atMs);
  const newest = told.at(-1);
  return newest === undefined ? undefined : { kind: newest.kind, ms: newest.ms };
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
