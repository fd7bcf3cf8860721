/**
 * Goal: after the journal was deleted on a real server, its owner writes again what it knows,
 * under a new incarnation, and goes on. Method: nats-server, one owner, two kinds of partitions:
 * one that is written to after the loss, and a quiet one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { startNatsServer } from "@murakkab/bus/nats-server";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { decodeBatch, subjects } from "@murakkab/protocol";
import { waitFor } from "@murakkab/testkit";
import { expect, test } from "vitest";
import { foldPartition } from "../src/journal/fold-partition.ts";
import { JobIndex } from "../src/journal/job-index.ts";
import { Ownership } from "../src/ownership.ts";
import { entryOf } from "./journal/lossy-log.ts";

const RETENTION_MS = 3_600_000;

test("a journal that was deleted under its owner is written again", async () => {
  const directory = mkdtempSync(join(tmpdir(), "murakkab-owner-"));
  const server = await startNatsServer({ directory });
  const bus = await connectNats({ servers: server.url, requestTimeoutMs: 500 });
  try {
    const random = seededRandom("int");
    const parts = { clock: SYSTEM_CLOCK, random, logger: SILENT_LOGGER };
    const journal = await bus.state.openLog("MK_JOURNAL", {
      subjects: [subjects.allJournals],
      maxAgeMs: RETENTION_MS,
      onMissing: "recreate",
    });
    const index = await JobIndex.open(bus.state, parts, { retentionMs: RETENTION_MS });
    const ownership = new Ownership(
      { bus, journal, index, clock: SYSTEM_CLOCK, random, log: SILENT_LOGGER },
      {
        ...{ scheduler: "s1", version: "0", config: "c", partitionCount: 8 },
        leads: () => 0,
        onTaken: async () => undefined,
        onDropped: () => undefined,
        onMembersChanged: () => undefined,
        onConfigDiffers: () => undefined,
        onReadAgain: () => undefined,
      },
    );
    await ownership.start();
    const owned = [1, 2].map((partition) => ownership.get(partition)!);
    for (const it of owned) {
      const jobId = `job${it.partition}`;
      await it.journal.append([entryOf(jobId, 1)]);
      it.rewrite = () => [entryOf(jobId, 1)];
    }
    const before = decodeBatch((await journal.read(subjects.journal(1)))[0]!.data).incarnation;
    const gone = "$JS.API.STREAM.DELETE.MK_JOURNAL";
    await bus.messaging.request(gone, new Uint8Array(0), { timeoutMs: 5_000 });
    await owned[0]!.journal.append([entryOf("job1", 2)]);
    await waitFor(async () => (await journal.read(subjects.journal(2))).length > 0, {
      what: "the quiet partition's entries",
      timeoutMs: 10_000,
    });
    const entries = await journal.read(subjects.journal(1));
    expect(decodeBatch(entries[0]!.data).incarnation).not.toBe(before);
    const first = foldPartition(entries).jobs.get("job1");
    expect(first?.events.map((it) => it.event.number)).toEqual([1, 2]);
    const second = foldPartition(await journal.read(subjects.journal(2))).jobs.get("job2");
    expect(second).toMatchObject({ broken: null });
    ownership.stop();
  } finally {
    await bus.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
