/**
 * Why an object does not open. Here alone, since a command line is answered without loading what reads objects.
 */
import type { LifeboatError } from "../errors/error.ts";

/** Whether something does not open for us only: another secret, or a later version, opens it. It is no damage. */
export function opensForOthers({ code }: LifeboatError): boolean {
  return code === "vault.key-missing" || code === "vault.format-unknown";
}
