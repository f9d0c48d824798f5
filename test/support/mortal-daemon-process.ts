/**
 * The stack's daemon as it is, but that it can be told to end or to hang at a line of its journal, or right before it orders
 * something: `node mortal-daemon-process.ts SCRIPT ARGUMENT…` is `lifeboat ARGUMENT…`. While the file SCRIPT is there it
 * says where; it is gone when that place was reached.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { Acting } from "../../src/failover/acting.ts";
import { Journal } from "../../src/journal/journal.ts";

/** Where a daemon ends. */
export type DaemonEnd = {
  readonly step: string;
  /**
   * `intent`: decided, and nothing done; `order`: it has looked whether it may still act, and has ordered nothing yet; `outcome`:
   * done and not noted.
   */
  readonly at: "intent" | "order" | "outcome";
  /** Of a step's orders the one, by the name of what it calls; a fence is always the order to the supervisor. */
  readonly order?: string;
  /** `stall`: it is halted there, with all that it holds. */
  readonly how: "kill" | "stall";
};

const [script = "", ...args] = process.argv.slice(2);
const append = Journal.prototype.append;

// A step's intent is not waited for: what follows is only kept back by what happens within this call.
Journal.prototype.append = function (entry, when) {
  const end = planned();
  if (entry.kind === "intent" && entry.name === end?.step) begun = entry.name;
  if (end === undefined || end.step !== entry.name || end.at !== entry.kind) return append.call(this, entry, when);
  if (end.at === "outcome") {
    come(end);
    return append.call(this, entry, when);
  }
  const written = append.call(this, entry, when);
  come(end);
  return written;
};

/** The step that is planned has begun. */
let begun: string | undefined;

// Between the look whether it may still act and the sending: there an order waits for nothing, so only a halt comes in between. Which
// order it is its text tells; another step may send the same one.
type Send = (...given: readonly unknown[]) => Promise<unknown>;
const order: unknown = Acting.prototype.order;
Reflect.set(Acting.prototype, "order", function (this: Acting, timeoutMs: number, send: Send) {
  const halted: Send = (...given) => {
    const end = planned();
    const isIt = end?.at === "order" && end.step === begun && end.order !== undefined && end.step !== "fence";
    if (isIt && String(send).includes(`.${end.order}(`)) come(end);
    return send(...given);
  };
  return (order as (...whole: unknown[]) => unknown).call(this, timeoutMs, halted);
});

// An order to a machine, which has a time: any earlier, and whoever wakes late finds first that it is over. When it wakes this is sent.
const write = Socket.prototype._write;
Socket.prototype._write = function (chunk: unknown, encoding, told) {
  const send = (): void => {
    const end = planned();
    if (end?.step === "fence" && end.at === "order") come(end);
    write.call(this, chunk, encoding, told);
  };
  if (!String(chunk).startsWith('{"call":"fence"')) write.call(this, chunk, encoding, told);
  else if (this.connecting) this.once("connect", send);
  else send();
};

function come({ how }: DaemonEnd): void {
  rmSync(script);
  process.kill(process.pid, how === "kill" ? "SIGKILL" : "SIGSTOP");
}

function planned(): DaemonEnd | undefined {
  return existsSync(script) ? (JSON.parse(readFileSync(script, "utf8")) as DaemonEnd) : undefined;
}

const main = new URL("../../src/cli/main.ts", import.meta.url);
process.argv.splice(1, process.argv.length, main.pathname, ...args);
await import(main.href);
