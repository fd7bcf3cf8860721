/** Goal: the journal is read from where it was read last, over a real server, purges included. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bus } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { type NatsServerProcess, startNatsServer } from "@murakkab/bus/nats-server";
import { encode, subjects } from "@murakkab/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readBatch } from "../src/journal-entries.ts";
import { StreamTail } from "../src/stream-tail.ts";

let directory: string;
let server: NatsServerProcess;
let bus: Bus;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "chaos-tail-"));
  const binary = process.env["MURAKKAB_NATS_SERVER"];
  server = await startNatsServer({ directory, ...(binary === undefined ? {} : { binary }) });
  bus = await connectNats({ servers: server.url, name: "test" });
});

afterAll(async () => {
  await bus.close();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

test("each stored batch is read once, whatever is purged between", async () => {
  const { messaging } = bus;
  const tail = new StreamTail({ messaging }, { stream: "MK_JOURNAL" });
  expect(await tail.read()).toEqual([]); // There is no journal yet, and none is made.
  const log = await bus.state.openLog("MK_JOURNAL", {
    subjects: [subjects.allJournals],
    maxAgeMs: 0,
  });
  const append = (partition: number, generation: number) =>
    log.append(
      subjects.journal(partition),
      encode({ v: 1, partition, generation, owner: "s1", entries: [{ kind: "owned" }] }, "msgpack"),
    );
  for (let generation = 1; generation <= 100; generation += 1) await append(3, generation);
  const first = await tail.read();
  expect(first.map((it) => readBatch(it, 0)?.generation)).toEqual(
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
  expect(await tail.read()).toEqual([]);
  await append(3, 101);
  const { sequence } = (await append(4, 1)) as { sequence: number };
  await log.purge(subjects.journal(3), { beforeSequence: sequence });
  const second = await tail.read();
  expect(second.map((it) => [it.subject, it.sequence])).toEqual([[subjects.journal(4), sequence]]);
});
