/** `lifeboat backup hold` and `lifeboat backup release`. */
import type { Config } from "../config/schema.ts";
import { text } from "../config/value-kind.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { Hold } from "../retention/holds.ts";
import { usageError } from "./failure.ts";
import { printable } from "./style.ts";
import { defineVerb, optional, required, type Session, toggle, type Verb } from "./verb.ts";

type Call = {
  readonly config: Config;
  readonly session: Session /** A backup's name, or `all`. */;
  readonly scope: string;
};

/** Holds and releases what a prune must not remove. */
export type HoldEngine = {
  readonly hold: (call: Call & { readonly reason: string }) => Promise<Hold>;
  readonly release: (call: Call) => Promise<readonly Hold[]>;
};

const CONFIGURATION = { kind: "checked", sections: ["vault"] } as const;

/** `backup hold`. */
export function holdVerb(engine: HoldEngine): Verb {
  return defineVerb({
    path: ["backup", "hold"],
    summary: "Keep a backup, or everything, from being pruned",
    description:
      "A held backup stays until it is released, whatever the policy says; one that has a tombstone comes back with the next " +
      "prune. With --all nothing is removed from the vault: the first thing to do in an incident.",
    arguments: { backup: optional(text("BACKUP"), "The backup, as `lifeboat backups --all` lists it.") },
    options: {
      all: toggle("Hold everything in the vault."),
      reason: required(text("TEXT"), "Why, for whoever finds it held."),
    },
    configuration: CONFIGURATION,
    examples: [
      { line: 'lifeboat backup hold --all --reason "incident 12"', does: "Nothing is pruned any more." },
      { line: 'lifeboat backup hold 20261122t221530z-9f3a61c2 --reason "for the audit"', does: "This one stays." },
    ],
    run: async ({ arguments: { backup }, options, session }) => {
      const scope = scopeOf(backup, options);
      const hold = await engine.hold({ config: await session.config(), session, scope, reason: options.reason });
      return { json: holdJson(hold), text: `Held: ${hold.scope === "all" ? "everything" : hold.scope}.` };
    },
  });
}

/** `backup release`. */
export function releaseVerb(engine: HoldEngine): Verb {
  return defineVerb({
    path: ["backup", "release"],
    summary: "Let a held backup, or everything, be pruned again",
    description: "Removes every hold on the backup, or with --all every hold on the vault; single backups stay held.",
    arguments: { backup: optional(text("BACKUP"), "The backup.") },
    options: { all: toggle("Release what `backup hold --all` holds.") },
    configuration: CONFIGURATION,
    examples: [
      { line: "lifeboat backup release --all", does: "The incident is over." },
      { line: "lifeboat backup release 20261122t221530z-9f3a61c2", does: "The policy decides on it again." },
    ],
    run: async ({ arguments: { backup }, options, session }) => {
      const holds = await engine.release({ config: await session.config(), session, scope: scopeOf(backup, options) });
      const lines = holds.map(
        ({ heldMs, reason }) =>
          `  since ${formatInstant(heldMs as Instant)}: ${printable(reason ?? "no reason opens")}`,
      );
      return { json: holds.map(holdJson), text: ["Released, what was held", ...lines].join("\n") };
    },
  });
}

function scopeOf(backup: string | undefined, { all }: { readonly all: boolean }): string {
  if ((backup === undefined) === all) return backup ?? "all";
  throw usageError(
    backup === undefined ? "neither a backup nor --all was given" : "a backup and --all were given",
    "Give one of them.",
  );
}

function holdJson({ scope, holdId, heldMs, reason }: Hold) {
  return { scope, holdId, heldAt: formatInstant(heldMs as Instant), reason: reason ?? null };
}
