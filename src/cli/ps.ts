/** `lifeboat ps`: what the stack's components are doing. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { ComponentState } from "../platform/components.ts";
import type { ComponentName } from "../stack/component-names.ts";
import type { Note } from "../stack/low-space.ts";
import { describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { type Cell, renderTable } from "./table.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

/** What was seen of the stack. */
export type StackSeen = {
  readonly stack: { readonly name: string; readonly folder: string };
  readonly now: Instant;
  readonly components: readonly ComponentSeen[];
  /** What is wrong with the stack as a whole. */
  readonly notes: readonly Note[];
  /** A person paused it, and nothing takes over by itself. */
  readonly failoverPaused?: boolean;
};

/** What was seen of a component. */
export type ComponentSeen = {
  readonly component: ComponentName;
  /** Of the program: the component's own, but for further poolers. */
  readonly name: string;
  /** Undefined: it was not started. */
  readonly state: ComponentState | undefined;
  readonly works: boolean;
  /** False: it could not be asked. */
  readonly wasAsked?: boolean;
  /** False: it runs, and the stack is described without it. */
  readonly described?: boolean;
  /** Of a daemon: whether it controls the stack or stands by. */
  readonly duty?: "controls" | "stands by" | undefined;
};

/** Looks at the configured stack. */
export type LookAtStack = (call: { readonly config: Config; readonly session: Session }) => Promise<StackSeen>;

/** `ps`. */
export function psVerb(look: LookAtStack): Verb {
  return defineVerb({
    path: ["ps"],
    summary: "Show what the stack's components are doing",
    description:
      "Shows for each component whether its program runs and whether it does its work: a node accepts connections or streams, " +
      "the others answer. Ends with status 6 unless all do, and when the stack's disk is next to full. A program that ends is started again, ever later, and given up " +
      "after about a minute; a database node never is: run `lifeboat up` when you know why it ended.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat ps", does: "One line for each component." },
      { line: "lifeboat ps >/dev/null || echo look", does: "From a scheduler." },
    ],
    run: async ({ session }) => {
      const seen = await look({ config: await session.config(), session });
      const up = seen.components.every(({ works }) => works) && seen.notes.length === 0;
      return { json: stackSeenJson(seen, up), text: renderStackSeen(seen, session.style), exit: up ? 0 : EXIT.world };
    },
  });
}

/** What a component that runs does not do when it does not do its work. */
const IDLE: Readonly<Record<ComponentName, string>> = {
  db: "does not accept connections",
  receiver: "does not stream from the primary",
  db_replica: "does not stream from the primary",
  redis: "does not answer",
  pgbouncer: "does not lead the application to the primary",
  pooler_watch: "does not run",
  api: "serves nothing, or only what it has kept",
  haproxy: "does not answer",
  mcp: "does not answer",
  "scraper-scheduler": "does not reach the database",
  daemon: "neither controls the stack nor stands by",
};

/** What was seen, for people. */
export function renderStackSeen({ stack, components, now, notes, failoverPaused }: StackSeen, style: Style): string {
  if (components.every(({ state }) => state === undefined)) {
    return `Stack ${stack.name} is down. \`lifeboat up\` brings it up.`;
  }
  const columns = ["component", "state", "since", "restarts", "ports", "remarks"].map((title) => ({
    title,
    align: title === "restarts" ? ("right" as const) : ("left" as const),
  }));
  const rows = components.map((seen): readonly Cell[] => {
    const { name, state } = seen;
    if (state === undefined) return [name, { painted: style.bad("not started") }];
    const since = describeDuration(Math.max(0, now - state.since));
    const ports = state.ports.map(({ port }) => port).join(", ");
    return [name, stateCell(seen, state, style), since, `${state.restarts}`, ports, remarksOf(seen, state)];
  });
  const said = notes.map(({ message, remedy }) => `${style.bad(message)}: ${remedy}.`);
  const paused = failoverPaused === true ? [style.warning(PAUSED)] : [];
  return [renderTable(columns, rows, style), ...said, ...paused, ...adviceOn(components)].join("\n");
}

const PAUSED = "Failover is paused: nothing takes over by itself. `lifeboat failover resume` ends that.";

/** What to do about those that do not work; the worst first. */
function adviceOn(components: readonly ComponentSeen[]): readonly string[] {
  const ill = components.filter(({ works }) => !works);
  const [first] = [...ill.filter(({ state }) => state?.mode !== "running"), ...ill];
  if (first === undefined) return [];
  const ended = ill.filter(({ state }) => state?.mode !== "running");
  // Nodes are the daemon's to start, and `up` starts none beside it.
  const isGoverned = components.some(({ duty }) => duty === "controls");
  const isNode = ({ component }: ComponentSeen): boolean => component === "db" || component === "db_replica";
  const decides =
    isGoverned && ended.some(isNode) ? [`\`lifeboat failover --check-only\` says what is done about it.`] : [];
  const starts = ended.some((each) => !isGoverned || !isNode(each)) ? ["`lifeboat up` starts what ended."] : [];
  return [[`Why: \`lifeboat logs ${first.component}\`.`, ...decides, ...starts].join(" ")];
}

function stateCell({ works }: ComponentSeen, { mode }: ComponentState, style: Style): Cell {
  if (works) return { painted: style.good("works") };
  return { painted: mode === "running" ? style.warning("runs") : style.bad(mode) };
}

function remarksOf(
  { component, works, duty, wasAsked = true, described = true }: ComponentSeen,
  { mode, lastEnd, adopted }: ComponentState,
): string {
  const remarks: string[] = duty === undefined ? [] : [duty === "controls" ? "controls the stack" : duty];
  if (!described) remarks.push("not described: `lifeboat up` stops it");
  if (mode === "running" && !works) remarks.push(wasAsked ? IDLE[component] : "was not asked");
  if (lastEnd !== undefined) remarks.push(mode === "running" ? `before: ${lastEnd}` : lastEnd);
  if (adopted) remarks.push("found running by a new supervisor");
  return remarks.join("; ");
}

function stackSeenJson({ stack, components, notes, failoverPaused = false }: StackSeen, up: boolean) {
  return {
    stack,
    up,
    failoverPaused,
    notes,
    components: components.map(({ component, name, state, works, duty, described = true }) => ({
      component,
      name,
      described,
      mode: state?.mode ?? "not-started",
      works,
      ...(component === "daemon" ? { duty: duty ?? null } : {}),
      since: state === undefined ? null : formatInstant(state.since),
      restarts: state?.restarts ?? 0,
      adopted: state?.adopted ?? false,
      lastEnd: state?.lastEnd ?? null,
      ports: state?.ports ?? [],
    })),
  };
}
