/**
 * Why an object does not open. Here alone, since a command line is answered without loading what reads objects.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";

/** Whether something does not open for us only: another secret, or a later version, opens it. It is no damage. */
export function opensForOthers({ code }: LifeboatError): boolean {
  return code === "vault.key-missing" || code === "vault.format-unknown";
}

/** Whether an error says of an object that it cannot be had: it is gone, damaged, or does not open for us. */
export function tellsLoss(error: unknown): error is LifeboatError {
  return isLifeboatError(error) && LOSS_CODES.has(error.code);
}

/** For a `catch`: what cannot be had is undefined; throws all else. */
export function unlessLost(error: unknown): undefined {
  if (!tellsLoss(error)) throw error;
}

const LOSS_CODES: ReadonlySet<string> = new Set([
  "vault.object-damaged",
  "vault.object-missing",
  "vault.key-missing",
  "vault.format-unknown",
  "store.object-missing",
  "store.object-truncated",
]);
