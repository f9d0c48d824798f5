/**
 * Who listens on a TCP port of this machine.
 *
 * Source: proc(5), "/proc/net/tcp" and "/proc/pid/fd". Only processes of our own user can be looked into, by root all.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import path from "node:path";
import { systemProcesses } from "./processes.ts";

/** A process that listens. */
export type PortHolder = { readonly pid: number; readonly name: string };

/** `0A`: the state LISTEN in /proc/net/tcp. */
const LISTENING = "0A";

/** The process that listens on the port; undefined when none does or we may not know. */
export async function holderOfPort(port: number): Promise<PortHolder | undefined> {
  const sockets = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const inode of listenersIn(await readOrNothing(table), port)) sockets.add(`socket:[${inode}]`);
  }
  if (sockets.size === 0) return undefined;
  for (const pid of await systemProcesses.all()) {
    if (await holdsOne(pid, sockets)) return { pid, name: await nameOf(pid) };
  }
  return undefined;
}

/** The inodes of the sockets that listen on a port, by such a table. A line that is not understood names none. */
export function listenersIn(table: string, port: number): readonly string[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [, localPort = ""] = (fields[1] ?? "").split(":");
      const inode = fields[9] ?? "";
      const listens = fields[3] === LISTENING && Number.parseInt(localPort, 16) === port;
      return listens && /^\d+$/.test(inode) ? [inode] : [];
    });
}

/** The program's file; what the kernel calls a process may be the name of its first thread. */
async function nameOf(pid: number): Promise<string> {
  try {
    return path.basename(await readlink(`/proc/${pid}/exe`));
  } catch {
    return (await readOrNothing(`/proc/${pid}/comm`)).trim();
  }
}

async function holdsOne(pid: number, sockets: ReadonlySet<string>): Promise<boolean> {
  try {
    for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
      if (sockets.has(await readlink(`/proc/${pid}/fd/${descriptor}`))) return true;
    }
  } catch {
    // Ended meanwhile, or another user's: it cannot be told to hold the port.
  }
  return false;
}

async function readOrNothing(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    // A kernel without IPv6 has no tcp6; a process may end.
    return "";
  }
}
