/**
 * An etcd of one member for tests: unprivileged, on free ports of 127.0.0.1, in a folder that is gone with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { findFreePort } from "../../src/platform/free-port.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid, findServerUser } from "../../src/platform/run-as.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { eventually } from "./receivers.ts";

/** Short elections: the shortest lease that etcd grants is one and a half of them, in whole seconds. */
const TIMES = ["--heartbeat-interval=10", "--election-timeout=100"] as const;

const PORT_ATTEMPTS_MAX = 3;
/** Of what it says, the end is kept for whom it fails. */
const SAID_CHARACTERS_MAX = 4_000;

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
    for (let attempts = 1; ; attempts += 1) {
      const etcd = await TestEtcd.#made();
      try {
        await etcd.begin();
        return etcd;
      } catch (error) {
        await etcd[Symbol.asyncDispose]();
        // Somebody else was quicker to take a port that was free.
        if (attempts === PORT_ATTEMPTS_MAX || !`${error}`.includes("address already in use")) throw error;
      }
    }
  }

  static async #made(): Promise<TestEtcd> {
    const folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-etcd-"));
    const user = await findServerUser(systemProcesses, { uid: currentUid() });
    if (user !== undefined) await chown(folder, user.uid, user.gid);
    const port = await findFreePort(systemRandom);
    const peerPort = await findFreePort(systemRandom);
    return new TestEtcd({ folder, port, peerPort, user });
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
      { stdio: ["ignore", "ignore", "pipe"], ...this.#user },
    );
    const child = this.#child;
    let said = "";
    child.stderr?.on("data", (bytes) => {
      said = `${said}${bytes}`.slice(-SAID_CHARACTERS_MAX);
    });
    await eventually("etcd answers", async () => {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}: ${said}`);
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
