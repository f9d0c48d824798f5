/** What a backup cannot be quicker than while it reads everything: the server's stream, read and thrown away. */
import path from "node:path";
import type { Command } from "../../src/platform/processes.ts";
import { type Base, BIN_FOLDER, clientArguments, type Place } from "../workload.ts";

/** A program that reads a base backup and keeps nothing of it. */
export type StreamReader = { readonly title: string; readonly command: Command };

/** Ours, by the same code as Lifeboat reads with, and pg_basebackup for a second opinion. */
export function streamReaders(place: Place, base: Base): readonly [StreamReader, ...StreamReader[]] {
  const { socketFolder, port, superuser } = base.server.setup;
  const script = path.join(import.meta.dirname, "read-stream.ts");
  const options = ["-Ft", "-D", "-", "-X", "none", "-c", "fast"];
  const program = path.join(BIN_FOLDER, "pg_basebackup");
  return [
    {
      title: "stream thrown away",
      command: {
        command: process.execPath,
        args: ["--disable-warning=ExperimentalWarning", script, socketFolder, String(port), superuser.name],
      },
    },
    {
      title: "pg_basebackup to /dev/null",
      command: {
        command: "sh",
        args: ["-c", 'exec "$@" >/dev/null', "sh", program, ...clientArguments(base.server), ...options],
        user: place.user,
      },
    },
  ];
}
