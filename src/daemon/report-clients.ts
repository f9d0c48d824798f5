/**
 * What clients of the poolers were told in an outage: for its report. Pure.
 *
 * Invariant: what may have been done, for all that its client knows, is never counted as failed.
 */
import type { ToldClients } from "../pooler/client-errors.ts";

/** Errors of clients. */
export type ReportedClients = {
  /** By kind, as the client of `lifeboat probe` names them. */
  readonly errors: readonly {
    readonly reason: string;
    readonly outcome: "failed" | "unknown";
    readonly count: number;
  }[];
  /** Told before anything was done for them. */
  readonly failed: number;
  /** Told while a server worked for them: what they asked for may have been done. */
  readonly unknown: number;
  /** False: the poolers' logs do not reach back to the beginning, and there may have been more. */
  readonly complete: boolean;
};

/** Of what poolers told. */
export function reportedClients({ errors, complete }: ToldClients): ReportedClients {
  const reported = errors.map(({ reason, executed, count }) => ({
    reason,
    outcome: executed === "no" ? ("failed" as const) : ("unknown" as const),
    count,
  }));
  const sum = (wanted: string): number =>
    reported.reduce((total, { outcome, count }) => total + (outcome === wanted ? count : 0), 0);
  return { errors: reported, failed: sum("failed"), unknown: sum("unknown"), complete };
}

/** For people. */
export function renderClients(clients: ReportedClients | null): readonly string[] {
  if (clients === null) return ["errors of the poolers' clients: not known"];
  const { errors, failed, unknown, complete } = clients;
  const least = complete ? "" : "at least ";
  const lines = [`errors of the poolers' clients: ${least}${failed} failed, ${least}${unknown} unknown`];
  for (const { reason, outcome, count } of errors) lines.push(`  ${reason.padEnd(24)} ${outcome.padEnd(8)} ${count}`);
  return lines;
}
