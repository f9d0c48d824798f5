/** Lifeboat: encrypted, default settings, a new vault for each full backup, by the command that npm installs. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Command } from "../../src/platform/processes.ts";
import { folderBytes, must } from "../machine.ts";
import type { Base, Place } from "../workload.ts";
import { BIN_FOLDER } from "../workload.ts";
import type { BackupTool } from "./backup-tool.ts";
import { launcherIn } from "./lifeboat-package.ts";

/** A folder with a configuration of Lifeboat, and commands that use it. The run folder must have the package. */
export class LifeboatFolder {
  readonly folder: string;
  readonly #place: Place;
  readonly #base: Base;

  constructor(place: Place, base: Base) {
    this.folder = path.join(place.runFolder, "lifeboat");
    this.#place = place;
    this.#base = base;
  }

  /** Makes the folder anew with a configuration and an empty vault. */
  async make(call: { readonly signal: AbortSignal }): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeFile(path.join(this.folder, "passphrase"), "a passphrase for the benchmark\n", { mode: 0o600 });
    await writeFile(path.join(this.folder, "lifeboat.yaml"), JSON.stringify(this.#configuration(), undefined, 2));
    await must(this.command("vault", "init"), call);
  }

  /** A command line of Lifeboat with this configuration. */
  command(...args: readonly string[]): Command {
    return {
      command: "sh",
      args: [launcherIn(this.#place), "--config", path.join(this.folder, "lifeboat.yaml"), ...args],
    };
  }

  /** YAML is a superset of JSON. */
  #configuration() {
    const { socketFolder, port, superuser } = this.#base.server.setup;
    const { user } = this.#place;
    return {
      server: { host: socketFolder, port, user: superuser.name },
      vault: { path: path.join(this.folder, "vault"), passphraseFile: path.join(this.folder, "passphrase") },
      folders: Object.fromEntries(["state", "spool", "sandbox"].map((name) => [name, path.join(this.folder, name)])),
      postgres: { binDir: BIN_FOLDER, ...(user === undefined ? {} : { runAs: user.name }) },
    };
  }
}

/** Lifeboat, receiving the WAL of its backup by itself. */
export function lifeboatTool(place: Place, base: Base): BackupTool {
  const home = new LifeboatFolder(place, base);
  const vault = path.join(home.folder, "vault");
  return {
    title: "Lifeboat",
    folder: home.folder,
    prepare: (call) => home.make(call),
    backup: home.command("backup"),
    storedBytes: async () => (await folderBytes(vault)) - (await folderBytes(path.join(vault, "wal"))),
    restore: (targetFolder) => ({ command: home.command("restore", "--target", targetFolder, "--boot"), boots: true }),
    clear: () => rm(home.folder, { recursive: true, force: true }),
  };
}
