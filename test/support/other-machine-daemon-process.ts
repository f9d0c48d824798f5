/**
 * A daemon as it would run on another machine: `node other-machine-daemon-process.ts CONTROLLER OTHER ARGUMENT…` is
 * `lifeboat ARGUMENT…`, but that what a daemon has for itself in the folder CONTROLLER (its place, its sockets, its journal, its
 * reports) lies in the folder OTHER. What belongs to the nodes stays where it is: their machines know one greatest epoch.
 */
import { Server } from "node:net";
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { systemLocks } from "../../src/platform/lock.ts";

const OWN = ["daemon.lock", "daemon.sock", "stand-by.lock", "stand-by.sock", "journal", "reports"];

const [controller = "", other = "", ...args] = process.argv.slice(2);

function moved(argument: unknown): unknown {
  if (typeof argument !== "string" || !argument.startsWith(`${controller}/`)) return argument;
  const inside = path.relative(controller, argument);
  const own = OWN.some((name) => inside === name || inside.startsWith(`${name}/`));
  return own ? path.join(other, inside) : argument;
}

function move(port: object): void {
  for (const [name, call] of Object.entries(port)) {
    if (typeof call !== "function") continue;
    const whole = call as (...given: unknown[]) => unknown;
    Reflect.set(port, name, (...given: unknown[]) => whole.apply(port, given.map(moved)));
  }
}

move(systemFiles);
move(systemLocks);
const listen = Server.prototype.listen as (...given: unknown[]) => Server;
Reflect.set(Server.prototype, "listen", function (this: Server, ...given: unknown[]) {
  return listen.apply(this, given.map(moved));
});

const main = new URL("../../src/cli/main.ts", import.meta.url);
process.argv.splice(1, process.argv.length, main.pathname, ...args);
await import(main.href);
