/** Connections of a process that outlives the password that it read at its start. */
import { isLifeboatError } from "../errors/error.ts";
import type { ConnectOptions } from "../postgres/replication.ts";

/**
 * Opens connections at the address that was read last. Where the server refuses the login the address is read again, with the password
 * that may have been changed since, and tried once more. Not before: asking for a password may take as long as its keeper likes.
 */
export function connectsWithNewestPassword<T>(
  read: () => Promise<ConnectOptions>,
  first: ConnectOptions,
): (open: (address: ConnectOptions) => Promise<T>) => Promise<T> {
  let address = first;
  return async (open) => {
    try {
      return await open(address);
    } catch (error) {
      if (!isLifeboatError(error, "postgres.login-refused")) throw error;
      address = await read();
      return await open(address);
    }
  };
}
