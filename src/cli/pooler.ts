/** `lifeboat pooler status`, `pooler resume` and `pooler watch`. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import type { LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { PoolerState } from "../pooler/pooler.ts";
import { describeDuration } from "../units/duration.ts";
import { printable, type Style } from "./style.ts";
import { type Cell, renderFacts } from "./table.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** What was seen of an instance. */
export type SeenPooler = {
  readonly name: string;
  readonly seen:
    | { readonly kind: "state"; readonly state: PoolerState }
    | { readonly kind: "unreachable"; readonly reason: LifeboatError };
};

/** What the verbs do. */
export type PoolerEngine = {
  /** Looks at every configured instance. */
  readonly look: (call: Call) => Promise<readonly SeenPooler[]>;
  /** Lets clients go on at every one; the names of all. */
  readonly resume: (call: Call) => Promise<readonly string[]>;
  /** Watches until the session's signal aborts: that is its normal end. */
  readonly watch: (call: Call) => Promise<void>;
};

const CONFIGURATION = { kind: "checked", sections: ["pooler"] } as const;

/** `pooler status`. */
export function poolerStatusVerb(engine: PoolerEngine): Verb {
  return defineVerb({
    path: ["pooler", "status"],
    summary: "Show what the poolers do",
    description:
      "Shows of every PgBouncer whether it is paused, since when and by whom, how many clients wait, and where its databases " +
      "lead. Ends with status 6 when one is paused or cannot be reached, and when they lead to different servers.",
    arguments: {},
    options: {},
    configuration: CONFIGURATION,
    examples: [{ line: "lifeboat pooler status", does: "Do clients wait, and for what?" }],
    run: async ({ session }) => {
      const seen = await engine.look({ config: await session.config(), session });
      const astray = partedDatabases(seen);
      const serve = seen.every((each) => each.seen.kind === "state" && each.seen.state.mode === "serving");
      const well = serve && astray.length === 0;
      const said = astray.map((name) =>
        session.style.bad(
          `The poolers lead ${printable(name)} to different servers: which is the primary says lifeboat ps.`,
        ),
      );
      return {
        json: { poolers: seen.map(poolerJson), well },
        text: [...seen.map((each) => renderPooler(each, session.clock.now(), session.style)), ...said].join("\n\n"),
        exit: well ? 0 : EXIT.world,
      };
    },
  });
}

/** `pooler resume`. */
export function poolerResumeVerb(engine: PoolerEngine): Verb {
  return defineVerb({
    path: ["pooler", "resume"],
    summary: "Let clients go on that a paused pooler has waiting",
    description:
      "Resumes every PgBouncer, paused or not. A failover that is at work pauses them for a reason and resumes them itself: " +
      "look first (lifeboat pooler status). Clients go on where the pooler leads.",
    arguments: {},
    options: {},
    configuration: CONFIGURATION,
    examples: [{ line: "lifeboat pooler resume", does: "After somebody paused by hand and went home." }],
    run: async ({ session }) => {
      const resumed = await engine.resume({ config: await session.config(), session });
      return { json: { resumed }, text: `Clients go on at ${resumed.map(printable).join(", ")}.` };
    },
  });
}

/** `pooler watch`. */
export function poolerWatchVerb(engine: PoolerEngine): Verb {
  return defineVerb({
    path: ["pooler", "watch"],
    summary: "Resume poolers whose controller died while they were paused",
    description:
      "Runs until it is stopped, beside the poolers. A pause outlives whoever asked for it; a controller says beforehand for " +
      "how long it may be silent, and renews that. When it is silent for longer, clients go on. A pause that is renewed is " +
      "never ended, nor one that somebody made by hand.",
    arguments: {},
    options: {},
    configuration: CONFIGURATION,
    examples: [{ line: "lifeboat pooler watch", does: "In the foreground, as a service manager wants it." }],
    run: async ({ session }) => {
      await engine.watch({ config: await session.config(), session });
      return { json: {}, text: "" };
    },
  });
}

/** Databases that not all poolers lead to the same server: after a switch that did not reach all of them. */
function partedDatabases(seen: readonly SeenPooler[]): readonly string[] {
  const serversOf = new Map<string, Set<string>>();
  for (const { seen: one } of seen) {
    if (one.kind !== "state") continue;
    for (const { name, server } of one.state.databases) {
      serversOf.set(name, (serversOf.get(name) ?? new Set()).add(`${server.host}:${server.port}`));
    }
  }
  return [...serversOf].flatMap(([name, servers]) => (servers.size > 1 ? [name] : []));
}

function poolerJson({ name, seen }: SeenPooler) {
  if (seen.kind === "unreachable") return { name, reached: false, code: seen.reason.code, reason: seen.reason.message };
  const { hold, version, ...state } = seen.state;
  const { major, minor, patch } = version;
  return { name, reached: true, version: `${major}.${minor}.${patch}`, ...state, hold: hold ?? null };
}

function renderPooler({ name, seen }: SeenPooler, now: Instant, style: Style): string {
  if (seen.kind === "unreachable") {
    return renderFacts([
      ["pooler", printable(name)],
      ["mode", style.bad("not reached")],
      ["reason", printable(seen.reason.message)],
    ]);
  }
  const { state } = seen;
  const { major, minor, patch } = state.version;
  const rows: (readonly [string, Cell])[] = [
    ["pooler", `${printable(name)}, PgBouncer ${major}.${minor}.${patch}`],
    ["mode", state.mode === "serving" ? style.good("serving") : style.bad(modeText(state, now))],
    ["clients", `${state.clientsWaiting} wait${waitText(state)}`],
    ["servers", `${state.serversActive} busy, ${state.serversIdle} idle, ${state.serversLoggingIn} logging in`],
    ...state.databases.map(
      ({ name: database, server }) => [database, printable(`${server.host}:${server.port}`)] as const,
    ),
    ["epoch", String(state.epoch)],
  ];
  if (state.pausedDatabases.length > 0) rows.push(["paused by hand", state.pausedDatabases.map(printable).join(", ")]);
  return renderFacts(rows);
}

function modeText({ mode, hold }: PoolerState, now: Instant): string {
  if (mode === "ending") return "shutting down";
  if (hold === undefined) return "paused by somebody's hand: nobody but a person resumes it";
  const since = formatInstant(hold.pausedAt as Instant);
  const promised = describeDuration(hold.holdMs);
  const forMs = Math.max(0, now - hold.pausedAt);
  return `paused since ${since} (${describeDuration(forMs)}) by epoch ${hold.epoch}, which may be silent for ${promised}`;
}

function waitText({ clientsWaiting, waitMs }: PoolerState): string {
  return clientsWaiting === 0 ? "" : `, the longest for ${describeDuration(waitMs)}`;
}
