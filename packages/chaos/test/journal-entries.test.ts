/** Goal: the store is read whatever else its writers put into it. */
import { encode } from "@murakkab/protocol";
import { expect, test } from "vitest";
import { readBatch, readPlacement } from "../src/journal-entries.ts";

const message = (value: unknown) => ({
  ...{ subject: "mk.v1.journal.12", sequence: 5 },
  data: encode(value, "msgpack"),
});

test("a batch with an owned entry is a takeover", () => {
  const batch = { v: 1, partition: 12, generation: 3, owner: "s1", incarnation: "x" };
  const entries = [{ kind: "owned" }, { kind: "event", event: {} }, { kind: "of-tomorrow" }];
  expect(readBatch(message({ ...batch, entries }), 40)).toEqual({
    ...{ atMs: 40, sequence: 5, partition: 12, generation: 3, owner: "s1", isTakeover: true },
  });
  expect(readBatch(message({ ...batch, entries: [] }), 40)?.isTakeover).toBe(false);
});

test("the partition is the subject's where the batch does not say", () => {
  expect(readBatch(message({ generation: 1, owner: "s1" }), 0)?.partition).toBe(12);
});

test("what is no batch is left out", () => {
  expect(readBatch(message("hello"), 0)).toBeNull();
  expect(readBatch({ ...message(null), data: new Uint8Array([0xc1]) }, 0)).toBeNull();
});

test("an actor's place names its address, process and generation", () => {
  const place = { ...message({ host: "h1", generation: 4 }), subject: "$KV.MK_ACTORS.counter.c1" };
  expect(readPlacement(place, 7)).toEqual({
    ...{ atMs: 7, address: "counter.c1", generation: 4, process: "h1" },
  });
  expect(readPlacement({ ...place, data: new Uint8Array() }, 7)).toBeNull(); // removed
});
