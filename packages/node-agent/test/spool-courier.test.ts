/**
 * Goal: a result that could not be sent is delivered once somebody takes it, or named when it is not.
 * Method: the courier over a spool in memory and a fake bus, virtual time; the files on a real disk.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serve } from "@murakkab/bus";
import { NotFoundError, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { artifactUri } from "@murakkab/model";
import type { AttemptResult } from "@murakkab/protocol";
import { attemptResultSchema, encode, spoolFileName, subjects } from "@murakkab/protocol";
import { describe, expect, it } from "vitest";
import { settle, VirtualClock } from "../../testkit/src/virtual-clock.ts";
import { SpoolFiles } from "../src/adapters/spool-files.ts";
import { SpoolCourier } from "../src/spool-courier.ts";
import { FakeMessaging } from "./fakes/fake-messaging.ts";
import { FakeSpoolFiles } from "./fakes/fake-spool-files.ts";
import { temporaryDir } from "./fixtures/temporary.ts";

const HASH = "a".repeat(64);
const DAY_MS = 24 * 3_600_000;

function resultOf(key: string): AttemptResult {
  const image = { artifact: artifactUri(HASH), bytes: 1, mediaType: "image/png" };
  const measure = { runMs: 1, cpuSec: 0, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 1 };
  const ids = { jobId: "j", step: "s", item: 0, attempt: 1, instance: "i", node: "n1" };
  return { ...ids, key, reply: { outputs: { image: { kind: "inline", value: image } }, measure } };
}

function fixture(keys: readonly string[]) {
  const clock = new VirtualClock();
  const messaging = new FakeMessaging(clock);
  const files = new FakeSpoolFiles();
  for (const key of keys) files.results.set(key, resultOf(key));
  const holds: string[] = [];
  const courier = new SpoolCourier(
    { clock, random: seededRandom(1), messaging, log: SILENT_LOGGER, files },
    { hold: (jobId, hash) => holds.push(`${jobId} ${hash}`) },
  );
  const taken: string[] = [];
  const listen = (refuse: (key: string) => boolean = () => false) =>
    serve(
      messaging,
      {
        subject: subjects.attemptResult,
        schema: attemptResultSchema,
        what: "result",
        onDefect: (error) => expect.fail(String(error)),
      },
      ({ key }) => {
        if (refuse(key)) throw new NotFoundError("not a job of ours");
        taken.push(key);
        return { ok: true };
      },
    );
  const pass = async (ms: number): Promise<void> => {
    let isOver = false;
    clock.after(ms, () => {
      isOver = true;
    });
    await clock.runUntil(() => isOver, Number.POSITIVE_INFINITY);
  };
  return { clock, courier, files, holds, listen, messaging, pass, taken };
}

describe("spool courier", () => {
  it("S1: keeps results while nobody takes them, then delivers each once", async () => {
    const { courier, files, holds, listen, pass, taken } = fixture(["a", "b"]);
    courier.start();
    await pass(60_000);
    expect(files.results.size).toBe(2);
    expect(holds).toContain(`j ${HASH}`); // S3
    listen();
    courier.kick();
    await pass(1);
    expect(taken).toEqual(["a", "b"]);
    expect(files.results.size).toBe(0);
    files.results.set("c", resultOf("c"));
    await pass(1_100);
    expect(taken).toEqual(["a", "b", "c"]);
    courier.stop();
  });

  it("offers them at once when the bus is back", async () => {
    const { courier, listen, messaging, pass, taken } = fixture(["a"]);
    courier.start();
    await pass(120_000);
    listen();
    messaging.setStatus("connected");
    await pass(1);
    expect(taken).toEqual(["a"]);
    courier.stop();
  });

  it("one that is refused does not hold up the others", async () => {
    const { courier, files, listen, pass, taken } = fixture(["a", "b"]);
    listen((key) => key === "a");
    courier.start();
    await pass(10);
    expect(taken).toEqual(["b"]);
    expect([...files.results.keys()]).toEqual(["a"]);
    courier.stop();
  });

  it("S1, S4: drops after a day by its own clock, and sets aside what cannot be read", async () => {
    const { courier, files, pass } = fixture(["old"]);
    files.results.set("bad", "damaged");
    courier.start();
    await pass(DAY_MS - 60_000);
    expect(files.aside).toEqual(["bad"]);
    expect(files.results.size).toBe(1);
    await pass(120_000);
    expect(files.results.size).toBe(0);
    courier.stop();
  });

  it("stops", async () => {
    const { clock, courier } = fixture(["a"]);
    courier.start();
    await settle();
    courier.stop();
    const nowMs = clock.monotonicMs();
    await clock.runUntil(() => true);
    expect(clock.monotonicMs()).toBe(nowMs);
  });
});

describe("spool files", () => {
  it("reads what was written, and tells damage of every kind", async () => {
    const dir = join(temporaryDir(), "spool");
    const files = new SpoolFiles(dir);
    expect(await files.list()).toEqual([]);
    mkdirSync(dir);
    const name = spoolFileName("key");
    const data = encode(resultOf("key"), "msgpack");
    writeFileSync(join(dir, name), data);
    writeFileSync(join(dir, "1-half.tmp"), "half"); // its writer, pid 1, lives
    writeFileSync(join(dir, "4194305-half.tmp"), "half"); // beyond the largest pid there can be
    expect(await files.list()).toEqual([name]);
    expect(new Set(readdirSync(dir))).toEqual(new Set(["1-half.tmp", name]));
    expect(await files.read(name)).toEqual(resultOf("key"));
    for (const bad of [
      data.slice(0, 20),
      new Uint8Array(),
      encode({ a: 1 }, "msgpack"),
      encode(resultOf("other"), "msgpack"),
    ]) {
      writeFileSync(join(dir, name), bad);
      await expect(files.read(name)).rejects.toBeInstanceOf(Error);
    }
    expect(await files.quarantine(name)).toBe(join(dir, `${name}.corrupt`));
    expect(await files.list()).toEqual([]);
    await files.remove(name);
    expect(await files.read(name)).toBeNull();
  });

  it("keeps only the latest few that were set aside", async () => {
    const dir = temporaryDir();
    const files = new SpoolFiles(dir);
    for (let index = 0; index < 20; index += 1) {
      const name = spoolFileName(`${index}`);
      writeFileSync(join(dir, name), "damaged");
      await files.quarantine(name);
    }
    expect(readdirSync(dir)).toHaveLength(16);
  });
});
