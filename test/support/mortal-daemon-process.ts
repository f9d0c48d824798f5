/**
 * The stack's daemon as it is, but that it can be told to end or to hang at a line of its journal:
 * `node mortal-daemon-process.ts SCRIPT ARGUMENT…` is `lifeboat ARGUMENT…`. While the file SCRIPT is there it says where; it is
 * gone when that place was reached.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { Journal } from "../../src/journal/journal.ts";

/** Where a daemon ends. */
export type DaemonEnd = {
  readonly step: string;
  /** `intent`: decided and noted, and nothing done; `outcome`: done and not noted. */
  readonly at: "intent" | "outcome";
  /** `stall`: it is halted there, with all that it holds. */
  readonly how: "kill" | "stall";
};

const [script = "", ...args] = process.argv.slice(2);
const append = Journal.prototype.append;

Journal.prototype.append = async function (entry, when) {
  const end = planned();
  if (end?.step !== entry.name || end.at !== entry.kind) return await append.call(this, entry, when);
  if (end.at === "intent") await append.call(this, entry, "now");
  rmSync(script);
  process.kill(process.pid, end.how === "kill" ? "SIGKILL" : "SIGSTOP");
  return await append.call(this, entry, when);
};

function planned(): DaemonEnd | undefined {
  return existsSync(script) ? (JSON.parse(readFileSync(script, "utf8")) as DaemonEnd) : undefined;
}

const main = new URL("../../src/cli/main.ts", import.meta.url);
process.argv.splice(1, process.argv.length, main.pathname, ...args);
await import(main.href);
