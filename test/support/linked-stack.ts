/**
 * A stack of real programs whose nodes are reached over links that can be cut: each node listens elsewhere than its stack says,
 * and a relay listens where it is said. Programs, daemon and configuration are as always; only `postgres` is started through a
 * script that names other addresses.
 */
import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { findFreePort } from "../../src/platform/free-port.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { type NodeName, nodePort } from "../../src/stack/node-settings.ts";
import { nodeAddress, withNode } from "../../src/stack/nodes.ts";
import { NODE_NAMES } from "../../src/stack/primary.ts";
import { readSecrets } from "../../src/stack/secrets.ts";
import { NodeLinks } from "./links.ts";
import { RealStack } from "./real-stack.ts";
import { giveTo, installationOf, PORTS, serverUser } from "./servers.ts";

/** The stack. */
export class LinkedStack {
  readonly one: RealStack;
  readonly #folder: string;
  readonly #links = new Map<NodeName, NodeLinks>();
  readonly #realPorts = new Map<NodeName, number>();

  private constructor(one: RealStack, folder: string) {
    this.one = one;
    this.#folder = folder;
  }

  /** Brings one up, with its daemon. `random` decides what is lost on links. */
  static async up(
    folder: string,
    random: () => number,
    { service = "off" }: { readonly service?: "on" | "off" } = {},
  ): Promise<LinkedStack> {
    const binDir = path.join(folder, "postgresql", "bin");
    const linked = new LinkedStack(
      new RealStack(folder, "linked", "on", { configured: `postgres:\n  binDir: ${binDir}\n`, service }),
      folder,
    );
    try {
      await linked.#layLinks(binDir, random);
      await linked.one.up();
    } catch (error) {
      await linked.end();
      throw error;
    }
    return linked;
  }

  /** The links of a node. */
  links(node: NodeName): NodeLinks {
    const links = this.#links.get(node);
    if (links === undefined) throw new Error(`no links lead to ${node}`);
    return links;
  }

  /** Brings up what is down. */
  async up(): Promise<void> {
    // Nobody else listens where a node is to listen.
    for (const links of this.#links.values()) await links.look();
    await this.one.up();
  }

  /** How the application logs in to a node past its links. */
  async past(node: NodeName): Promise<ConnectOptions> {
    return { ...(await this.one.application()), port: this.#realPorts.get(node) ?? 0 };
  }

  /** The first value that a node answers with, as text, asked past its links. */
  async ask(node: NodeName, sql: string): Promise<string> {
    const stack = await this.one.stack();
    const address = nodeAddress(stack, await readSecrets(PORTS.files, stack.place), node);
    const real = { ...address, host: this.#socketFolder, port: this.#realPorts.get(node) ?? 0 };
    const [row] = await withNode(real, {}, ({ run }) => run(sql));
    return String(Object.values(row ?? {})[0]);
  }

  async end(): Promise<void> {
    for (const links of this.#links.values()) await links[Symbol.asyncDispose]();
    await this.one.end();
  }

  get #socketFolder(): string {
    return path.join(this.#folder, "links");
  }

  async #layLinks(binDir: string, random: () => number): Promise<void> {
    const { stack } = await this.one.tools();
    const { binFolder } = await installationOf(stack.major);
    await mkdir(binDir, { recursive: true });
    await mkdir(this.#socketFolder, { recursive: true });
    await giveTo(await serverUser(), this.#socketFolder);
    const cases: string[] = [];
    for (const node of NODE_NAMES) {
      const port = nodePort(stack, node);
      const real = await findFreePort(systemRandom);
      this.#realPorts.set(node, real);
      const elsewhere = `-c port=${real} -c unix_socket_directories=${this.#socketFolder}`;
      cases.push(`  "-D ${stack.place.dataOf(node)} "*) exec ${binFolder}/postgres "$@" ${elsewhere} ;;`);
      const place = {
        at: [{ port, host: "127.0.0.1" }, { path: path.join(stack.place.sockets, `.s.PGSQL.${port}`) }],
        node: [{ port: real, host: "127.0.0.1" }, { path: path.join(this.#socketFolder, `.s.PGSQL.${real}`) }],
      };
      this.#links.set(node, new NodeLinks(place, random));
    }
    for (const name of await readdir(binFolder)) {
      if (name !== "postgres") await symlink(path.join(binFolder, name), path.join(binDir, name));
    }
    const script = ["#!/bin/sh", 'case "$*" in', ...cases, "esac", `exec ${binFolder}/postgres "$@"`, ""];
    await writeFile(path.join(binDir, "postgres"), script.join("\n"));
    await chmod(path.join(binDir, "postgres"), 0o755);
  }
}
