/** Goal: one key is one piece of work. Method: the cache with attempts that end when told. */
import type { AttemptReply } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { type Ended, REPLY_BYTES_MAX, REPLY_COUNT_MAX, ReplyCache } from "../src/reply-cache.ts";

const MEASURE = { runMs: 1, cpuSec: 0, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 1 };
const SUCCESS: AttemptReply = { outputs: {}, measure: MEASURE };
const FAILURE: AttemptReply = {
  failure: { code: "ENGINE_CRASHED", message: "by SIGSEGV", retryable: true },
  measure: MEASURE,
};

function add(cache: ReplyCache, key: string, attempt = 1) {
  let resolve: (ended: Ended) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const work = new Promise<Ended>((onEnded, onError) => {
    resolve = onEnded;
    reject = onError;
  });
  const kept = cache.add(key, attempt, work);
  kept.reply.catch(() => undefined);
  const end = async (reply: AttemptReply, bytes = 10): Promise<void> => {
    resolve({ reply, bytes });
    await kept.reply;
    await Promise.resolve();
  };
  const crash = async (): Promise<void> => {
    reject(new Error("defect"));
    await kept.reply.catch(() => undefined);
    await Promise.resolve();
  };
  return { kept, end, crash };
}

describe("reply cache", () => {
  test("R1: what runs or has succeeded answers every attempt", async () => {
    const cache = new ReplyCache();
    const { kept, end } = add(cache, "k", 2);
    for (const attempt of [1, 2, 3]) expect(cache.find("k", attempt)).toBe(kept);
    await end(SUCCESS);
    for (const attempt of [1, 2, 3]) expect(cache.find("k", attempt)).toBe(kept);
    expect(cache.find("other", 1)).toBeNull();
  });

  test("R2: what has failed answers its own repeats and late ones, not the next attempt", async () => {
    const cache = new ReplyCache();
    const { kept, end } = add(cache, "k", 2);
    await end(FAILURE);
    expect(cache.find("k", 1)).toBe(kept);
    expect(cache.find("k", 2)).toBe(kept);
    expect(cache.find("k", 3)).toBeNull();
    const next = add(cache, "k", 3);
    expect(cache.find("k", 3)).toBe(next.kept);
    expect(cache.count).toBe(1);
  });

  test("an attempt that ended by a defect is forgotten", async () => {
    const cache = new ReplyCache();
    const { crash } = add(cache, "k");
    await crash();
    expect(cache.find("k", 1)).toBeNull();
  });

  test("R3: bounded by count; what runs stays", async () => {
    const cache = new ReplyCache();
    const running = add(cache, "running");
    for (let index = 0; index < REPLY_COUNT_MAX + 10; index += 1) {
      await add(cache, `k${index}`).end(SUCCESS);
    }
    expect(cache.count).toBe(REPLY_COUNT_MAX);
    expect(cache.find("running", 1)).toBe(running.kept);
    expect(cache.find("k0", 1)).toBeNull();
    expect(cache.find(`k${REPLY_COUNT_MAX + 9}`, 1)).not.toBeNull();
  });

  test("R3: bounded by bytes, and a replaced reply no longer counts", async () => {
    const cache = new ReplyCache();
    await add(cache, "a").end(FAILURE, REPLY_BYTES_MAX);
    await add(cache, "a", 2).end(SUCCESS, REPLY_BYTES_MAX / 2);
    await add(cache, "b").end(SUCCESS, REPLY_BYTES_MAX / 2);
    expect(cache.count).toBe(2);
    await add(cache, "c").end(SUCCESS, 1);
    expect(cache.find("a", 1)).toBeNull();
    expect(cache.find("b", 1)).not.toBeNull();
  });
});
