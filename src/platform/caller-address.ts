/**
 * From which address a request comes that proxies pass on.
 *
 * Nouns: the *peer* is who connects; a *proxy* that is trusted writes behind `X-Forwarded-For` from whom it has the request; the
 * *networks* are those in which trusted proxies are.
 * Invariants: what an address says that is not trusted is never believed, so that nobody chooses the address that they are counted by;
 * with no network nobody but the peer counts.
 */
import { BlockList, isIP } from "node:net";

/** Addresses of a header are looked at from its end, so many at most: nobody has more proxies. */
const PASSED_MAX = 16;

/** Networks of trusted proxies. */
export type Networks = { readonly has: (address: string) => boolean };

/** Whether a text is an address, or a network with its length: 10.0.0.0/8, fd00::/8, 192.0.2.1. */
export function isNetwork(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

/** These networks together; texts that are none must have been refused. */
export function networksOf(texts: readonly string[]): Networks {
  const list = new BlockList();
  for (const text of texts) {
    const [address = "", bits] = text.split("/");
    const family = familyOf(address);
    list.addSubnet(address, Number(bits ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return { has: (address) => isIP(address) !== 0 && list.check(plain(address), familyOf(plain(address))) };
}

/** Who called: the first address from the end that is no trusted proxy's; where all are, the first of all. */
export function callerAddress(
  { peer, forwarded }: { readonly peer: string; readonly forwarded: string | undefined },
  networks: Networks,
): string {
  let caller = plain(peer);
  for (const each of (forwarded ?? "").split(",").slice(-PASSED_MAX).reverse()) {
    const before = plain(each.trim());
    // A proxy that passes on what is no address says nothing.
    if (!networks.has(caller) || isIP(before) === 0) return caller;
    caller = before;
  }
  return caller;
}

/**
 * What an address is counted as. Of the newer kind each network, and often each machine, is given 2^64 to choose from: its first half
 * says who it is. Source: RFC 6177, "IPv6 Address Assignment to End Sites".
 */
export function countedAs(address: string): string {
  const one = plain(address);
  if (isIP(one) !== 6) return one;
  const [before = "", after] = one.split("::");
  const groups = before === "" ? [] : before.split(":");
  // Where zeros are left out, only so many that all are eight; an address of the older kind at the end stands for two.
  const later = after === undefined || after === "" ? [] : after.split(":");
  const left = 8 - groups.length - later.length - (one.includes(".") ? 1 : 0);
  const all = after === undefined ? groups : [...groups, ...Array.from({ length: left }, () => "0"), ...later];
  const first = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${first.join(":")}::/64`;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** An address of the older kind is the same in the newer's form. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}
