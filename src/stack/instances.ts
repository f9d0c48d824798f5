/**
 * The programs that a platform runs for a component.
 *
 * Every component is one program, but three. PgBouncer, which uses one processor only, can be several: the kernel hands each new
 * connection to one of them (so_reuseport), and each has its console on a Unix socket of its own. The API is several, so that
 * one can be lost or restarted; each listens on a Unix socket, where the balancer finds it. The daemon is two: one controls
 * the stack, the other stands by. Pure.
 */
import path from "node:path";
import { COMPONENT_NAMES, type ComponentName } from "./component-names.ts";
import type { StackDescription } from "./stack.ts";

/** Components that can be several programs. */
export const SCALABLE = ["pgbouncer", "api"] as const satisfies readonly ComponentName[];

/** One of them. */
export type Scalable = (typeof SCALABLE)[number];

/** More than the processors of a machine that runs a stack. */
export const INSTANCES_MAX = 16;

/** The daemon that stands by, or is stood by for: which of the two controls the stack changes. */
const STANDBY = "daemon_2";

/** The names of a component's programs at the platform; the first has the component's own. */
export function instancesOf(
  { poolers, apis }: Pick<StackDescription, "poolers" | "apis">,
  component: ComponentName,
): readonly string[] {
  if (component === "daemon") return [component, STANDBY];
  if (component !== "pgbouncer" && component !== "api") return [component];
  return Array.from({ length: component === "api" ? apis : poolers }, (_, index) =>
    index === 0 ? component : `${component}_${index + 1}`,
  );
}

/** The component that a program at the platform belongs to; undefined for one that is none of a stack's. */
export function componentOf(instance: string): ComponentName | undefined {
  if (instance === STANDBY) return "daemon";
  const [, scaled] = /^(.+)_\d+$/.exec(instance) ?? [];
  return COMPONENT_NAMES.find((name) => name === instance) ?? SCALABLE.find((name) => name === scaled);
}

/** Whether all programs of a component run, and none too many. */
export function allRun(
  stack: Pick<StackDescription, "poolers" | "apis">,
  component: ComponentName,
  running: ReadonlySet<string>,
): boolean {
  const wanted = instancesOf(stack, component);
  return wanted.every((name) => running.has(name)) && surplusOf(stack, component, running).length === 0;
}

/** Programs of a component that are there and not wanted any more. */
export function surplusOf(
  stack: Pick<StackDescription, "poolers" | "apis">,
  component: ComponentName,
  there: Iterable<string>,
): readonly string[] {
  const wanted = instancesOf(stack, component);
  return [...there].filter((name) => componentOf(name) === component && !wanted.includes(name));
}

/** The folder of a pooler's socket; that of the first is the stack's, where clients look for it. */
export function poolerSocketFolder({ place }: Pick<StackDescription, "place">, instance: string): string {
  return instance === "pgbouncer" ? place.sockets : path.join(place.sockets, instance);
}

/** Where the scraper-scheduler's pages are. */
export function scraperSocketOf({ place }: Pick<StackDescription, "place">): string {
  return path.join(place.sockets, "scraper-scheduler.sock");
}

/** Where an instance of the API listens. */
export function apiSocketOf({ place }: Pick<StackDescription, "place">, instance: string): string {
  return path.join(place.sockets, `${instance}.sock`);
}
