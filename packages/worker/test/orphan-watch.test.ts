/** Goal: a worker ends itself only when nobody can reach it. Method: virtual time. */
import { expect, test } from "vitest";
import { OrphanWatch } from "../src/orphan-watch.ts";
import { VirtualClock } from "./virtual-clock.ts";

function watched() {
  const clock = new VirtualClock();
  const ends: number[] = [];
  const onOrphaned = (): number => ends.push(clock.monotonicMs());
  return { clock, ends, watch: new OrphanWatch(clock, { limitMs: 30_000, onOrphaned }) };
}

test("W1: goes on for ever with the bus or the agent alone", () => {
  const { clock, ends, watch } = watched();
  watch.setAgent(false);
  clock.advance(1_000_000);
  watch.setAgent(true);
  watch.setBus(false);
  clock.advance(1_000_000);
  expect(ends).toEqual([]);
});

test("W2: ends once after its limit without both, counted anew after each return", () => {
  const { clock, ends, watch } = watched();
  watch.setAgent(false);
  watch.setBus(false);
  clock.advance(20_000);
  watch.setBus(true);
  watch.setBus(false);
  clock.advance(29_999);
  watch.setBus(false); // told again: nothing new
  expect(ends).toEqual([]);
  clock.advance(1);
  clock.advance(100_000);
  expect(ends).toEqual([50_000]);
});
