/**
 * What lets a person use a demo's vault and servers: the configuration file, which the receiver runs with as well, and
 * for `--keep` a script that takes everything away again.
 */
import { writeDurable } from "../platform/durable.ts";
import { shellQuoted } from "../platform/shell-word.ts";
import type { LocalServer } from "../postgres/server.ts";
import type { KeptFacts } from "./facts.ts";
import { DATABASE, LIFEBOAT_ROLE, type ServerKit, SUPERUSER } from "./servers.ts";

/** Writes lifeboat.yaml for the server on this port. */
export async function writeConfiguration(
  { ports, place }: ServerKit,
  server: { readonly port: number; readonly receiverDelayMs: number },
): Promise<void> {
  // Strings are written as JSON, which YAML reads alike, whatever the path holds.
  const text = `# The configuration of one demo. Written by lifeboat demo.
server:
  host: "127.0.0.1"
  port: ${server.port}
  user: ${LIFEBOAT_ROLE}
  passwordFile: ${JSON.stringify(place.passwordFile)}
vault:
  path: ${JSON.stringify(place.vault)}
  passphraseFile: ${JSON.stringify(place.passphraseFile)}
folders:
  state: ${JSON.stringify(place.folder)}
  spool: ${JSON.stringify(place.spool)}
receiver:
  delay: ${Math.round(server.receiverDelayMs)}ms
`;
  const parts = [Buffer.from(text)];
  await writeDurable(ports.files, { file: place.configFile, parts, over: "replace", unique: "demo" });
}

/** Makes the folder fit to be left behind. The restored servers go on running. */
export async function keepForALook(
  kit: ServerKit,
  left: {
    readonly restored: LocalServer;
    readonly beforeDelete: LocalServer;
    readonly receiverDelayMs: number;
    readonly command: string;
  },
): Promise<KeptFacts> {
  const { ports, place } = kit;
  const { port } = left.restored.setup;
  await writeConfiguration(kit, { port, receiverDelayMs: left.receiverDelayMs });
  const parts = [Buffer.from(removeScript([place.restored, place.beforeDelete], [place.folder, place.sockets]))];
  await writeDurable(ports.files, { file: place.removeScript, parts, over: "new", permissions: 0o700, unique: "demo" });
  return {
    folder: place.folder,
    command: left.command,
    configFile: place.configFile,
    database: DATABASE,
    user: SUPERUSER,
    socketFolder: place.sockets,
    servers: [
      { what: "the newest point", port, dataFolder: place.restored },
      { what: "just before the DELETE", port: left.beforeDelete.setup.port, dataFolder: place.beforeDelete },
    ],
    removeScript: place.removeScript,
  };
}

/** A server that does not end within this many tenths of a second is left alone, and so is its folder. */
const STOP_TENTHS = 300;

function removeScript(dataFolders: readonly string[], folders: readonly string[]): string {
  return `#!/bin/sh
# Written by lifeboat demo --keep. Stops the servers of this demo and removes all it kept.
set -eu
cd /
# Root may not look into processes of others where it has no CAP_SYS_PTRACE; their user may.
asOwner() {
  [ "$(id -u)" = 0 ] || return 1
  setpriv --reuid "$(stat -c %u "$data")" --regid "$(stat -c %g "$data")" --clear-groups "$@"
}
for data in ${dataFolders.map(shellQuoted).join(" ")}; do
  [ -f "$data/postmaster.pid" ] || continue
  pid=$(head -n 1 "$data/postmaster.pid")
  # After a restart of the machine the number may be another process's: a server works in its data folder.
  [ -d "/proc/$pid" ] || continue
  at=$(readlink "/proc/$pid/cwd") || at=$(asOwner readlink "/proc/$pid/cwd") || at=
  if [ -z "$at" ] && [ "$(stat -c %u "/proc/$pid")" = "$(stat -c %u "$data")" ] && grep -qx postgres "/proc/$pid/comm"; then
    echo "cannot tell whether process $pid is the server in $data: stop it, then run this again" >&2
    exit 1
  fi
  [ "$at" = "$(readlink -f "$data")" ] || continue
  kill -INT "$pid"
  tries=0
  while [ -d "/proc/$pid" ]; do
    tries=$((tries + 1))
    [ "$tries" -le ${STOP_TENTHS} ] || { echo "the server in $data (process $pid) does not stop" >&2; exit 1; }
    sleep 0.1
  done
done
rm -rf -- ${folders.map(shellQuoted).join(" ")}
`;
}
