/**
 * How the MCP service tells the API for whom it asks: an address and a proof that needs the MCP service's key. Anybody may send the header;
 * without the proof it says nothing.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** The header. */
export const PASSED_HEADER = "x-lifeboat-passed";

/** An address of the newer kind with a zone. */
const ADDRESS_LENGTH_MAX = 64;

/** What the header says. */
export function passAddress(address: string, secret: string): string {
  return `${address} ${proofOf(address, secret).toString("hex")}`;
}

/** The address that it tells; undefined where it proves nothing. */
export function passedAddress(header: unknown, secret: string | undefined): string | undefined {
  if (typeof header !== "string" || secret === undefined) return undefined;
  const [, address, proof] = /^(\S+) ([0-9a-f]{64})$/.exec(header) ?? [];
  if (address === undefined || proof === undefined || address.length > ADDRESS_LENGTH_MAX) return undefined;
  return timingSafeEqual(Buffer.from(proof, "hex"), proofOf(address, secret)) ? address : undefined;
}

function proofOf(address: string, secret: string): Buffer {
  return createHmac("sha256", secret).update(`caller of the MCP service: ${address}`).digest();
}
