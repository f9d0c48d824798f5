/**
 * Finds a TCP port that nobody listens on.
 *
 * An answer is a guess that can be wrong by the time it is used: whoever binds the port must be ready for "address in
 * use" and ask again. Ports below the range that Linux hands to outgoing connections (32768 and up) are taken, so that a
 * connection elsewhere on the machine does not occupy the port in between.
 */
import { createServer } from "node:net";
import { LifeboatError } from "../errors/error.ts";
import type { RandomSource } from "./random.ts";

const FIRST = 20_000;
const COUNT = 10_000;

// With half of the range in use, forty tries fail once in 10^12.
const TRIES_MAX = 40;

/** A port of 127.0.0.1 that was free a moment ago. Rejects with `platform.no-free-port` after 40 busy ones. */
export async function findFreePort(random: RandomSource): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = FIRST + (random(4).readUInt32LE() % COUNT);
    if (await isPortFree(port)) return port;
  }
  throw new LifeboatError("platform.no-free-port", {
    message: `none of ${TRIES_MAX} ports tried between ${FIRST} and ${FIRST + COUNT - 1} was free`,
    remedy: "End servers that are not needed on this machine, or name a port.",
    retryable: true,
  });
}

/** True when 127.0.0.1 lets us listen on the port right now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
