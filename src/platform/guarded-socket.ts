/**
 * Sockets for parsers that are not ours: what they throw breaks the connection, and not the process.
 *
 * node-postgres reads what a server sends in a listener of the socket, and throws there at what it does not know: a server that
 * asks for GSSAPI, or another program on the port. Nobody can catch that, and the process ended with every session that it had.
 */
import { Socket } from "node:net";

/** Makes of what was thrown what the connection fails with. */
export type Explain = (thrown: unknown) => Error;

/** The socket, with which a listener of `data` that throws destroys it: it fails then as one whose other side broke off. */
export function guarded<S extends Socket>(socket: S, explain: Explain = asError): S {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...values: unknown[]) => boolean;
  const guard = (event: string | symbol, ...values: unknown[]): boolean => {
    if (event !== "data") return emit(event, ...values);
    try {
      return emit(event, ...values);
    } catch (thrown) {
      socket.destroy(explain(thrown));
      return true;
    }
  };
  return Object.assign(socket, { emit: guard });
}

/** One that is not connected yet. */
export function guardedSocket(explain: Explain = asError): Socket {
  return guarded(new Socket(), explain);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
