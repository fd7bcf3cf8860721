/**
 * Goal: what the owner of a journal sees when the store went back in time, lost everything, or was
 * deleted under load. Method: a real server whose files are exchanged for an older copy.
 *
 * None of it is an error of the store: the owner has to notice by itself, and these are the signs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppendOutcome, Bus, Log } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import type { NatsServerProcess } from "@murakkab/bus/nats-server";
import { startNatsServer } from "@murakkab/bus/nats-server";
import { subjects } from "@murakkab/protocol";
import { StoreCopies, waitFor } from "@murakkab/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const [MINE, OTHER] = [subjects.journal(1), subjects.journal(2)];
const SETTINGS = { subjects: [subjects.allJournals], maxAgeMs: 3_600_000 };

let directory = "";
let server: NatsServerProcess;
let copies: StoreCopies;
let bus: Bus;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murakkab-loss-"));
  server = await startNatsServer({ directory: join(directory, "store") });
  copies = new StoreCopies(server);
  bus = await connectNats({ servers: server.url, requestTimeoutMs: 200 });
});

afterAll(async () => {
  await bus.close();
  await server.stop();
  await copies.close();
  rmSync(directory, { recursive: true, force: true });
});

function append(
  log: Log,
  subject: string,
  { id, expected }: { id: string; expected: number },
): Promise<AppendOutcome> {
  const options = { messageId: id, expectedLastSequence: expected };
  return log.append(subject, new TextEncoder().encode(id), options);
}

async function reconnected(): Promise<void> {
  await waitFor(
    () =>
      bus.messaging.flush().then(
        () => true,
        () => false,
      ),
    { what: "connection to the server" },
  );
}

describe("an older copy of the store was restored", () => {
  let log: Log;
  let before: string;

  beforeAll(async () => {
    log = await bus.state.openLog("MK_JOURNAL", SETTINGS);
    await append(log, MINE, { id: "a", expected: 0 }); // sequence 1
    await append(log, OTHER, { id: "b", expected: 0 }); // sequence 2
    before = (await log.info()).incarnation;
    const copy = await copies.take();
    await reconnected();
    await append(log, MINE, { id: "c", expected: 1 }); // sequence 3
    await append(log, MINE, { id: "d", expected: 3 }); // sequence 4
    await copies.restore(copy, { isKill: true });
    await reconnected();
  });

  test("the stream's last sequence is below the owner's, its incarnation is the same", async () => {
    expect(await log.info()).toEqual({
      incarnation: before,
      firstSequence: 1,
      lastSequence: 2,
    });
    expect(await log.lastSequence(MINE)).toBe(1);
    expect((await log.read(MINE)).map((entry) => entry.sequence)).toEqual([1]);
  });

  test("the owner's next append is a conflict with a sequence below its own", async () => {
    const next = await append(log, MINE, { id: "e", expected: 4 });
    expect(next).toEqual({ kind: "conflict", lastSequence: 1 });
    // Only one that stands above its own tells of another owner.
  });

  test("a subject that was not written since sees nothing: its sequence still fits", async () => {
    expect(await append(log, OTHER, { id: "f", expected: 2 })).toMatchObject({ sequence: 3 });
  });

  test("message ids are known that the copy holds, and no others: a repeat is stored anew", async () => {
    expect(await append(log, MINE, { id: "a", expected: 0 })).toEqual({
      kind: "appended",
      sequence: 1,
      isDuplicate: true,
    });
    const again = await append(log, MINE, { id: "c", expected: 1 });
    expect(again).toEqual({ kind: "appended", sequence: 4, isDuplicate: false });
    // Sequence 4 was "d" to who saw it before: sequences are unique within one history only.
  });
});

test("with an empty store every operation says STORE_MISSING until the log is opened", async () => {
  const log = await bus.state.openLog("MK_JOURNAL", SETTINGS);
  const { incarnation } = await log.info();
  await copies.restore(null);
  await reconnected();
  await expect(append(log, MINE, { id: "x", expected: 9 })).rejects.toMatchObject({
    code: "STORE_MISSING",
    isRetryable: true,
  });
  await bus.state.openLog("MK_JOURNAL", SETTINGS);
  expect(await append(log, MINE, { id: "x", expected: 9 })).toEqual({
    kind: "conflict",
    lastSequence: 0,
  });
  const after = await log.info();
  expect(after.incarnation).not.toBe(incarnation);
  expect(after.lastSequence).toBe(0);
});

test("deleted under load, the log is made anew once and takes the appends", async () => {
  const events: string[] = [];
  const partitions = Array.from({ length: 16 }, (_, index) => subjects.journal(index));
  const log = await bus.state.openLog("MK_JOURNAL", {
    ...SETTINGS,
    onMissing: "recreate",
    onRecreated: () => events.push("recreated"),
  });
  let isStopped = false;
  let appendedCount = 0;
  let wentBackCount = 0;
  /** An owner that goes on from where the store is after a conflict. */
  const own = async (subject: string): Promise<void> => {
    let expected = await log.lastSequence(subject);
    for (let count = 0; !isStopped; count += 1) {
      const outcome = await append(log, subject, { id: `${subject}:${count}`, expected });
      if (outcome.kind === "appended") {
        expected = outcome.sequence;
        appendedCount += 1;
        continue;
      }
      if ((outcome.lastSequence ?? 0) < expected) wentBackCount += 1;
      expected = outcome.lastSequence ?? 0;
    }
  };
  const owners = partitions.map((subject) => own(subject));
  await waitFor(() => appendedCount > 500, { what: "first appends" });
  const gone = "$JS.API.STREAM.DELETE.MK_JOURNAL";
  await bus.messaging.request(gone, new Uint8Array(0), { timeoutMs: 5_000 });
  const atDeletion = appendedCount;
  await waitFor(() => wentBackCount === partitions.length && appendedCount > atDeletion + 500, {
    what: "appends after the deletion",
  });
  isStopped = true;
  await Promise.all(owners);
  expect(events).toEqual(["recreated"]);
  expect(wentBackCount).toBe(partitions.length);
});
