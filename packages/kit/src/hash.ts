/** SHA-256 without platform types, so that pure rooms can use it. For small values, not files. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

export function sha256Bytes(value: string | Uint8Array): Uint8Array {
  return sha256(typeof value === "string" ? utf8ToBytes(value) : value);
}

export function sha256Hex(value: string | Uint8Array): string {
  return bytesToHex(sha256Bytes(value));
}

/** JSON with sorted keys: equal values give equal text, whatever order their keys were set in. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value as Record<string, unknown>)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${entries.join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/**
 * 64 bits of a text, as 16 hex digits: to tell versions of one thing apart, not against malice.
 *
 * Source: two lanes in the manner of MurmurHash3's mixing (Austin Appleby, public domain).
 */
export function hashText64(text: string): string {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0xcc9e2d51);
    a = (a << 15) | (a >>> 17);
    b = Math.imul(b ^ code, 0x1b873593);
    b = (b << 13) | (b >>> 19);
  }
  a = finalMix(a ^ text.length ^ (b >>> 7));
  b = finalMix(b ^ (a >>> 3));
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0");
}

function finalMix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
