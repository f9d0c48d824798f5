/**
 * An etcd of one member for tests: unprivileged, on free ports of 127.0.0.1, in a folder that is gone with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { findFreePort } from "../../src/platform/free-port.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid, findServerUser } from "../../src/platform/run-as.ts";
import { eventually } from "./receivers.ts";

/** Short elections: the shortest lease that etcd grants is one and a half of them, in whole seconds. */
const TIMES = ["--heartbeat-interval=10", "--election-timeout=100"] as const;

/** A running etcd. */
export class TestEtcd implements AsyncDisposable {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #peerPort: number;
  readonly #user: { readonly uid: number; readonly gid: number } | undefined;
  #child: ChildProcess | undefined;

  private constructor(parts: {
    readonly folder: string;
    readonly port: number;
    readonly peerPort: number;
    readonly user: { readonly uid: number; readonly gid: number } | undefined;
  }) {
    this.endpoint = `http://127.0.0.1:${parts.port}`;
    this.#folder = parts.folder;
    this.#peerPort = parts.peerPort;
    this.#user = parts.user;
  }

  /** Starts one that answers. */
  static async start(): Promise<TestEtcd> {
    const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-etcd-"));
    const user = await findServerUser(systemProcesses, { uid: currentUid() });
    if (user !== undefined) await chown(folder, user.uid, user.gid);
    const port = await findFreePort(systemRandom);
    const peerPort = await findFreePort(systemRandom);
    const etcd = new TestEtcd({ folder, port, peerPort, user });
    await etcd.begin();
    return etcd;
  }

  /** Starts it with what it has on its disk. */
  async begin(): Promise<void> {
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    this.#child = spawn(
      "etcd",
      [
        ...TIMES,
        ...["--name", "test", "--data-dir", path.join(this.#folder, "data"), "--log-level", "error"],
        ...["--listen-client-urls", this.endpoint, "--advertise-client-urls", this.endpoint],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `test=${peer}`],
      ],
      { stdio: "ignore", ...this.#user },
    );
    const child = this.#child;
    await eventually("etcd answers", async () => {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`);
      const response = await fetch(`${this.endpoint}/health`).catch(() => undefined);
      return response !== undefined && (await response.text()).includes('"true"');
    });
  }

  /** Kills it as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }

  /** Halts it: it neither answers nor closes its connections. */
  halt(): void {
    this.#child?.kill("SIGSTOP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
