/** Which addresses are of the public internet: where others may say what we connect to, everything else is refused. */
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

const CLOSED = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  CLOSED.addSubnet(net, bits, "ipv4");
}
// With those that stand for an address of the older kind, which may be any (RFC 6052, RFC 8215, RFC 3056).
for (const [net, bits] of [
  ["::", 127],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  CLOSED.addSubnet(net, bits, "ipv6");
}

/** What a lookup ends with that found an address of a private network. */
export class PrivateAddress extends Error {
  constructor(host: string) {
    super(`${host} leads to a private network`);
  }
}

/** Whether an address, as numbers, is public. */
export function isPublicAddress(address: string): boolean {
  return !CLOSED.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** The address that a host of a URL is when it is one and no name; undefined for names. */
function literalOf(host: string): string | undefined {
  const bare = host.replace(/^\[|\]$/g, "");
  return isIP(bare) === 0 ? undefined : bare;
}

/** Names as they are found, and which addresses are public; another one than the machine's is for tests. */
export type Network = {
  readonly lookup: LookupFunction;
  readonly isPublic: (address: string) => boolean;
};

/** The machine's. */
export const systemNetwork: Network = { lookup, isPublic: isPublicAddress };

/** Whether a host of a URL is a private address by itself. Names are for checkedLookup. */
export function isPrivateLiteral(host: string, { isPublic }: Pick<Network, "isPublic"> = systemNetwork): boolean {
  const literal = literalOf(host);
  return literal !== undefined && !isPublic(literal);
}

/**
 * Finds a name's addresses for a connection, and refuses the name when one of them is private: what was checked is what is
 * connected to, whatever the name leads to a moment later. A host that is an address is connected to without a lookup: ask
 * isPrivateLiteral, too.
 */
export function checkedLookup(network: Network = systemNetwork): LookupFunction {
  return (host, options, callback) => {
    network.lookup(host, { ...options, all: true }, (error, found) => {
      const addresses = typeof found === "string" ? [] : found;
      const [first] = addresses;
      if (error !== null || first === undefined) callback(error ?? new Error(`${host} has no address`), "");
      else if (addresses.some(({ address }) => !network.isPublic(address))) callback(new PrivateAddress(host), "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}
