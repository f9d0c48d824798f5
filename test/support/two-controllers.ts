/**
 * A stack of real programs with two controllers, as on two machines: etcd says who may act. Each has a place, sockets and a journal of
 * its own; the first one can be cut off from etcd, and be told where to sleep.
 */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import type { NodeName } from "../../src/stack/node-settings.ts";
import { componentSpec } from "../../src/stack/specs.ts";
import { TestEtcd } from "./etcd.ts";
import { PROGRAMS } from "./program.ts";
import { makeStackFolder, RealStack } from "./real-stack.ts";
import { SwallowingRelay } from "./swallowing-relay.ts";
import { WatchedStack } from "./watched-stack.ts";

const MORTAL = new URL("./mortal-daemon-process.ts", import.meta.url);
const OTHER_MACHINE = new URL("./other-machine-daemon-process.ts", import.meta.url);
/** How long a lease lasts: the shortest that is allowed. */
export const TTL_S = 12;

/** The stack with its two controllers. */
export class TwoControllers {
  readonly one: RealStack;
  readonly #folder: string;
  readonly #relay: SwallowingRelay;
  readonly #etcd: TestEtcd;

  private constructor(one: RealStack, folder: string, etcd: TestEtcd, relay: SwallowingRelay) {
    this.one = one;
    this.#folder = folder;
    this.#etcd = etcd;
    this.#relay = relay;
  }

  /** Brings it up; `begin` has the two control it. */
  static async up(): Promise<TwoControllers> {
    const folder = await makeStackFolder();
    const etcd = await TestEtcd.start();
    const relay = await SwallowingRelay.open(Number(new URL(etcd.endpoint).port));
    const configured = `failover:\n  etcdEndpoints: ${etcd.endpoint}\n  etcdTtl: ${TTL_S}s\n`;
    const two = new TwoControllers(new RealStack(folder, "two", "on", { configured }), folder, etcd, relay);
    try {
      await two.one.up();
      await makeWriteTable(await two.one.application(), {});
      await mkdir(two.other);
    } catch (error) {
      await two.end();
      throw error;
    }
    return two;
  }

  /** Where the second one has what is its own. */
  get other(): string {
    return path.join(this.#folder, "other");
  }

  /** What the second one sees: it is never the one that sleeps. */
  get watched(): WatchedStack {
    return new WatchedStack(this.one, this.#folder, path.join(this.other, "daemon.sock"));
  }

  /** What the first one sees. */
  get first(): WatchedStack {
    return new WatchedStack(this.one, this.#folder);
  }

  /** While this file is there the first one sleeps, or ends, where it says: see mortal-daemon-process.ts. */
  get script(): string {
    return path.join(this.#folder, "ends-at");
  }

  /** Between the first one and etcd. */
  get relay(): SwallowingRelay {
    return this.#relay;
  }

  /** Starts both anew; the first one holds the lease, which it has by way of the relay. */
  async begin(): Promise<void> {
    const { stack, tools } = await this.one.tools();
    const spec = componentSpec(stack, "daemon", tools);
    const from = spec.arguments.indexOf(PROGRAMS.lifeboat);
    const as = (program: URL, ...given: string[]): readonly string[] => [
      ...spec.arguments.slice(0, from),
      program.pathname,
      ...given,
      ...spec.arguments.slice(from + 1),
    ];
    for (const name of ["daemon_2", "daemon"]) await this.one.platform.stop(name, {});
    const endpoint = `http://127.0.0.1:${this.#relay.port}`;
    const first = [...as(MORTAL, this.script), "--failover-etcd-endpoints", endpoint];
    await this.one.platform.start({ ...spec, name: "daemon", arguments: first }, {});
    await this.first.whole();
    const second = as(OTHER_MACHINE, stack.place.controller, this.other);
    await this.one.platform.start({ ...spec, name: "daemon_2", arguments: second }, {});
    await this.watched.whole();
  }

  /** Who is what, once all is whole, as one of the two sees it. */
  async roles(watched: WatchedStack): Promise<{ old: NodeName; next: NodeName; timeline: number; epoch: number }> {
    const { primary, timeline, epoch } = await watched.whole();
    const old = primary as NodeName;
    return { old, next: old === "db" ? "db_replica" : "db", timeline, epoch };
  }

  /** Ends and removes all. */
  async end(): Promise<void> {
    await this.one.end();
    await this.#relay[Symbol.asyncDispose]();
    await this.#etcd[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
