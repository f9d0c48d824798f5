/** Where a program listens: on a Unix socket for whoever the folder lets in, or on a port of this machine. */
import type { Files } from "./files.ts";

/** See above. */
export type ListenAt = { readonly port: number } | { readonly socket: string };

/** As an argument says it: a path, or a number. */
export function parseListenAt(text: string): ListenAt {
  return text.startsWith("/") ? { socket: text } : { port: Number(text) };
}

/** What Node is told, once nothing is in the way: a program that was killed leaves its socket behind. */
export async function readyToListen(
  files: Files,
  at: ListenAt,
): Promise<{ readonly host: string; readonly port: number } | { readonly path: string; readonly writableAll: true }> {
  if ("port" in at) return { host: "127.0.0.1", port: at.port };
  await files.remove(at.socket);
  return { path: at.socket, writableAll: true };
}
