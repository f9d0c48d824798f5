/** pgBackRest as Debian has it: zst level 3, two processes, WAL archived into the same place while it runs. */
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { currentUid } from "../../src/platform/run-as.ts";
import { folderBytes, must, Stop } from "../machine.ts";
import { applySettings, type Base, type Place } from "../workload.ts";
import type { BackupTool } from "./backup-tool.ts";

const PROGRAM = "/usr/bin/pgbackrest";
const STANZA = "bench";

/** True when pgBackRest is installed. */
export async function hasPgBackRest(): Promise<boolean> {
  return (await stat(PROGRAM).catch(() => undefined)) !== undefined;
}

/** Installs Debian's pgBackRest where it is missing and we may. Throws `Stop` naming the command where we may not. */
export async function installPgBackRest(call: { readonly signal: AbortSignal }): Promise<void> {
  if (await hasPgBackRest()) return;
  const install = "apt-get install --no-install-recommends pgbackrest";
  const debian = (await stat("/etc/debian_version").catch(() => undefined)) !== undefined;
  if (!debian || currentUid() !== 0) {
    throw new Stop(`pgBackRest is not installed. Ask root to run: ${install}; or leave it out: --peers pg_basebackup`);
  }
  console.log("installing Debian's package pgbackrest");
  const options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300"];
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  await must({ command: "apt-get", args: [...options, "update"], environment }, call);
  const args = [...options, "install", "--no-install-recommends", "pgbackrest"];
  await must({ command: "apt-get", args, environment }, call);
}

/** The version that is installed. */
export async function pgBackRestVersion(call: { readonly signal: AbortSignal }): Promise<string> {
  return (await must({ command: PROGRAM, args: ["version"] }, call)).trim().replace(/^pgBackRest /, "");
}

/** pgBackRest. */
export function pgBackRestTool(place: Place, base: Base): BackupTool {
  const folder = path.join(place.runFolder, "pgbackrest");
  const configuration = path.join(folder, "pgbackrest.conf");
  const { user } = place;
  const command = (...args: readonly string[]) => ({
    command: PROGRAM,
    args: [`--config=${configuration}`, `--stanza=${STANZA}`, ...args],
    user,
  });
  const clear = async (call: { readonly signal: AbortSignal }) => {
    await applySettings(place, base, {}, call);
    await rm(folder, { recursive: true, force: true });
  };
  return {
    title: "pgBackRest zst-3, 2 processes",
    prepare: async (call) => {
      await clear(call);
      await mkdir(folder, { mode: 0o700 });
      await writeFile(configuration, configurationText(folder, base));
      if (user !== undefined) {
        await systemFiles.changeOwner(folder, user);
        await systemFiles.changeOwner(configuration, user);
      }
      await must(command("stanza-create"), call);
      const push = command("archive-push", "%p");
      await applySettings(
        place,
        base,
        { archive_command: [push.command, ...push.args].map((word) => `"${word}"`).join(" ") },
        call,
      );
      await must(command("check"), call);
    },
    backup: command("backup", "--type=full"),
    storedBytes: () => folderBytes(path.join(folder, "kept", "backup")),
    restore: (targetFolder) => ({ command: command("restore", `--pg1-path=${targetFolder}`), boots: false }),
    clear,
  };
}

function configurationText(folder: string, base: Base): string {
  const { dataFolder, socketFolder, port, superuser } = base.server.setup;
  return `[global]
repo1-path=${folder}/kept
repo1-retention-full=1
log-path=${folder}
lock-path=${folder}/lock
spool-path=${folder}/spool
log-level-console=warn
log-level-file=off
start-fast=y
process-max=2
compress-type=zst
compress-level=3

[${STANZA}]
pg1-path=${dataFolder}
pg1-socket-path=${socketFolder}
pg1-port=${port}
pg1-user=${superuser.name}
`;
}
