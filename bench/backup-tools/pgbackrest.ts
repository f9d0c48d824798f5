/** pgBackRest: zst level 3, two processes, WAL archived into the same place while it runs. */
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { currentUid } from "../../src/platform/run-as.ts";
import { folderBytes, must, Stop } from "../machine.ts";
import { applySettings, type Base, type Place } from "../workload.ts";
import type { ChainTool } from "./backup-tool.ts";

const PROGRAM = "/usr/bin/pgbackrest";
const STANZA = "bench";

/** A pgBackRest and what its configuration has besides ours. */
export type PgBackRestBuild = {
  readonly title: string;
  readonly folderName: string;
  readonly program: string;
  readonly settings: readonly string[];
};

/** The one that Debian 12 has: whole files, changed ones again. */
export const DEBIAN_PGBACKREST: PgBackRestBuild = {
  title: "pgBackRest zst-3, 2 processes",
  folderName: "pgbackrest",
  program: PROGRAM,
  settings: [],
};

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

/** The version of a build. */
export async function pgBackRestVersion(
  build: PgBackRestBuild,
  call: { readonly signal: AbortSignal },
): Promise<string> {
  return (await must({ command: build.program, args: ["version"] }, call)).trim().replace(/^pgBackRest /, "");
}

/** Debian's pgBackRest. */
export function pgBackRestTool(place: Place, base: Base): ChainTool {
  return pgBackRest(DEBIAN_PGBACKREST, place, base);
}

/** A pgBackRest. */
export function pgBackRest(build: PgBackRestBuild, place: Place, base: Base): ChainTool {
  const folder = path.join(place.runFolder, build.folderName);
  const configuration = path.join(folder, "pgbackrest.conf");
  const { user } = place;
  const command = (...args: readonly string[]) => ({
    command: build.program,
    args: [`--config=${configuration}`, `--stanza=${STANZA}`, ...args],
    user,
  });
  const archiveNowhere = (call: { readonly signal: AbortSignal }) => applySettings(place, base, {}, call);
  const archive = async (call: { readonly signal: AbortSignal }) => {
    const push = command("archive-push", "%p");
    const words = [push.command, ...push.args].map((word) => `"${word}"`).join(" ");
    await applySettings(place, base, { archive_command: words }, call);
    await must(command("check"), call);
  };
  const clear = async (call: { readonly signal: AbortSignal }) => {
    await archiveNowhere(call);
    await rm(folder, { recursive: true, force: true });
  };
  return {
    title: build.title,
    folder,
    prepare: async (call) => {
      await clear(call);
      await mkdir(folder, { mode: 0o700 });
      await writeFile(configuration, configurationText(folder, base, build.settings));
      if (user !== undefined) {
        await systemFiles.changeOwner(folder, user);
        await systemFiles.changeOwner(configuration, user);
      }
      await must(command("stanza-create"), call);
      await archive(call);
    },
    backup: command("backup", "--type=full"),
    storedBytes: () => folderBytes(path.join(folder, "kept", "backup")),
    restore: (targetFolder) => ({ command: command("restore", `--pg1-path=${targetFolder}`), boots: false }),
    clear,
    next: command("backup", "--type=incr"),
    beginTurn: archive,
    endTurn: archiveNowhere,
    companionPid: () => undefined,
    wasFull: async (_log, call) => {
      const stanzas: readonly { readonly backup: readonly { readonly type: string }[] }[] = JSON.parse(
        await must(command("info", "--output=json"), call),
      );
      return stanzas[0]?.backup.at(-1)?.type === "full";
    },
    restoreInPlace: (targetFolder) => ({
      command: command("restore", "--delta", `--pg1-path=${targetFolder}`),
      boots: false,
    }),
    toldBy: () => ({}),
    close: async () => {},
  };
}

function configurationText(folder: string, base: Base, settings: readonly string[]): string {
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
${settings.join("\n")}

[${STANZA}]
pg1-path=${dataFolder}
pg1-socket-path=${socketFolder}
pg1-port=${port}
pg1-user=${superuser.name}
`;
}
