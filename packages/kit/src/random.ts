/**
 * Seeded randomness. Named streams keep draws apart: a draw in one stream shifts nothing elsewhere.
 *
 * Source: sfc32 (Practically Random, public domain), seeded by SHA-256 of the stream's name.
 */
import { sha256Bytes } from "./hash.ts";

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, count). */
  index(count: number): number;
  /** A version 4 UUID drawn from this stream. */
  uuid(): string;
  /** An independent stream that depends only on this one's seed and the name. */
  stream(name: string): Random;
}

export function seededRandom(seed: string | number): Random {
  const key = String(seed);
  const digest = sha256Bytes(key);
  const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
  let a = view.getUint32(0);
  let b = view.getUint32(4);
  let c = view.getUint32(8);
  let counter = 1;
  const uint32 = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i += 1) uint32(); // sfc32 wants twelve rounds to mix its seed
  const next = (): number => uint32() / 4294967296;
  return {
    next,
    index: (count) => Math.floor(next() * count),
    uuid: () => formatUuid([uint32(), uint32(), uint32(), uint32()]),
    stream: (name) => seededRandom(`${key}/${name}`),
  };
}

/** The items in random order, `items.length` draws. */
export function shuffle<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  const shuffled: T[] = [];
  while (left.length > 0) shuffled.push(...left.splice(random.index(left.length), 1));
  return shuffled;
}

function formatUuid(words: readonly [number, number, number, number]): string {
  const hex = words.map((word) => word.toString(16).padStart(8, "0")).join("");
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) & 3];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
