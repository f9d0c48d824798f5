/** `lifeboat doctor`: is this server and this machine fit to be protected. */
import type { Config } from "../config/schema.ts";
import type { Check } from "../doctor/decide.ts";
import { EXIT } from "../errors/entry.ts";
import { printable, type Style } from "./style.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

/** Looks at the configured server and this machine. */
export type Diagnose = (call: { readonly config: Config; readonly session: Session }) => Promise<readonly Check[]>;

/** `doctor`. */
export function doctorVerb(diagnose: Diagnose): Verb {
  return defineVerb({
    path: ["doctor"],
    summary: "Check that server and machine are fit to be protected",
    description:
      "Looks at versions, settings, slot, rights of the role, clocks, free space, vault and receiver, and says what to do, " +
      "with the exact statements. Changes nothing. Ends with status 3 when there is a problem, or when the server or the " +
      "vault could not be looked at.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["server", "vault", "folders", "receiver", "postgres"] },
    examples: [{ line: "lifeboat doctor", does: "Before the first backup, and after every change." }],
    run: async ({ session }) => {
      const checks = await diagnose({ config: await session.config(), session });
      const fit = isFit(checks);
      return { json: { fit, checks }, text: renderChecks(checks, session.style), exit: fit ? 0 : EXIT.refused };
    },
  });
}

/** Without these nothing else is known. */
const ESSENTIAL: ReadonlySet<string> = new Set(["login", "replication-login", "vault"]);

/** True when there is no problem and what matters most was seen. */
export function isFit(checks: readonly Check[]): boolean {
  return checks.every(({ id, level }) => level !== "problem" && !(level === "unknown" && ESSENTIAL.has(id)));
}

/** The checks for people: what is wrong first. */
export function renderChecks(checks: readonly Check[], style: Style): string {
  const paint = { problem: style.bad, warning: style.warning, unknown: style.warning, ok: style.good };
  const lines: string[] = [];
  let told: string | undefined;
  for (const level of ["problem", "unknown", "warning", "ok"] as const) {
    for (const { id, found, remedy } of checks.filter((each) => each.level === level)) {
      lines.push(`${paint[level](level.padEnd(8))} ${id.padEnd(18)} ${printable(found)}`);
      // One server that is down is the reason for many checks, and one remedy mends them.
      if (remedy !== undefined && remedy !== told) lines.push(`${" ".repeat(28)}${printable(remedy)}`);
      told = remedy;
    }
  }
  const count = (level: Check["level"]) => checks.filter((each) => each.level === level).length;
  const summary = `${count("ok")} ok, ${count("warning")} warnings, ${count("problem")} problems, ${count("unknown")} not known`;
  return [...lines, "", summary].join("\n");
}
