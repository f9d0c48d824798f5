/**
 * Disks of their own for the WAL of a stack's nodes, that can be held up while their servers run on.
 *
 * Invariants: only root can make them; a disk is a file in the benchmark's folder; none stays frozen or mounted.
 */
import { mkdir, open, readFile, realpath, rename, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemFiles } from "../src/platform/files.ts";
import type { ProcessUser } from "../src/platform/processes.ts";
import { must, Stop } from "./machine.ts";

/** Holds max_wal_size of 1 GiB and what comes before a checkpoint; takes only what is written. */
const DISK_BYTES = 2 * 1024 ** 3;

type Call = { readonly signal: AbortSignal };

/** The disks below a folder, each known by the name of its node. */
export class WalDisks {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = path.join(folder, "wal-disks");
  }

  /** Moves the WAL of a node that is down to a new disk. */
  async give(node: string, data: { readonly folder: string; readonly owner: ProcessUser | undefined }, call: Call) {
    const mount = path.join(this.#folder, node);
    const image = `${mount}.image`;
    await mkdir(mount, { recursive: true, mode: 0o755 });
    const handle = await open(image, "w");
    await handle.truncate(DISK_BYTES);
    await handle.close();
    await must({ command: "mkfs.ext4", args: ["-q", image] }, call);
    await must({ command: "mount", args: ["-o", "loop", image, mount] }, call);
    const [from, to] = [path.join(data.folder, "pg_wal"), path.join(mount, "pg_wal")];
    await must({ command: "cp", args: ["-a", from, to] }, call);
    await rename(from, `${from}.before`);
    await symlink(to, from);
    if (data.owner !== undefined) await must({ command: "chown", args: ["-h", data.owner.name, from] }, call);
    await rm(`${from}.before`, { recursive: true });
  }

  /** Lets a node's disk take nothing for a while: what writes or syncs waits, what reads goes on. */
  async hold(node: string, dataFolder: string, durationMs: number): Promise<void> {
    const mount = path.join(this.#folder, node);
    const wal = await realpath(path.join(dataFolder, "pg_wal"));
    if (path.dirname(wal) !== (await realpath(mount)))
      throw new Stop(`the WAL of ${node} lies in ${wal}, not on its disk`);
    // Not to be cut short between the two: a frozen disk blocks whoever syncs.
    const whole = { signal: new AbortController().signal };
    await must({ command: "fsfreeze", args: ["--freeze", mount] }, whole);
    await sleep(durationMs);
    await must({ command: "fsfreeze", args: ["--unfreeze", mount] }, whole);
  }

  /** Takes all disks away, also those of a benchmark that was killed. */
  async clear(call: Call): Promise<void> {
    const mounted = (await readFile("/proc/mounts", "utf8"))
      .split("\n")
      .flatMap((line) => line.split(" ")[1] ?? [])
      .filter((mount) => path.dirname(mount) === this.#folder);
    for (const mount of mounted) {
      // Fails where nothing is frozen, which is the rule.
      await must({ command: "fsfreeze", args: ["--unfreeze", mount] }, call).catch(() => undefined);
      await must({ command: "umount", args: [mount] }, call);
    }
    if ((await systemFiles.stat(this.#folder)) !== undefined) await rm(this.#folder, { recursive: true });
  }
}
