/**
 * Which IP addresses a fetch on behalf of a user may reach: the public internet only.
 *
 * Owns:      the list of address ranges that are refused, with IPv4 inside IPv6 unwrapped.
 * Does not:  resolve names; the caller connects to exactly the address that was checked.
 *
 * Source: IANA special-purpose address registries (RFC 6890 and successors).
 */
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

const IPV4_RANGES: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // shared address space of carriers (CGNAT)
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local, and the metadata services of clouds
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, and broadcast
];

const refused = new BlockList();
for (const [network, prefix] of IPV4_RANGES) refused.addSubnet(network, prefix, "ipv4");

/** The only IPv6 block from which public addresses are given out. */
const globalUnicast = new BlockList();
globalUnicast.addSubnet("2000::", 3, "ipv6");
const refusedIpv6 = new BlockList();
refusedIpv6.addSubnet("2001::", 23, "ipv6"); // protocol assignments, Teredo
refusedIpv6.addSubnet("2001:db8::", 32, "ipv6"); // documentation
refusedIpv6.addSubnet("2002::", 16, "ipv6"); // 6to4: hides an IPv4 address
refusedIpv6.addSubnet("3fff::", 20, "ipv6"); // documentation
const nat64 = new BlockList();
nat64.addSubnet("64:ff9b::", 96, "ipv6");
const mapped = new BlockList();
mapped.addSubnet("::ffff:0:0", 96, "ipv6");

export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !refused.check(address, "ipv4");
  const bare = address.split("%")[0] ?? ""; // a zone id means link-local anyway
  if (!isIPv6(bare) || bare !== address) return false;
  if (mapped.check(bare, "ipv6") || nat64.check(bare, "ipv6")) {
    return isPublicAddress(lastFourBytes(bare));
  }
  return globalUnicast.check(bare, "ipv6") && !refusedIpv6.check(bare, "ipv6");
}

/** The IPv4 address in the last 32 bits. */
function lastFourBytes(address: string): string {
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  // The URL parser gives the canonical form, in which the last two groups are plain.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const groups = canonical.split(":");
  const high = Number.parseInt(groups.at(-2) || "0", 16);
  const low = Number.parseInt(groups.at(-1) || "0", 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** A URL's host as an address, when it is one; the URL parser has already unified odd forms. */
export function addressInHost(hostname: string): string | null {
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? null : bare;
}
