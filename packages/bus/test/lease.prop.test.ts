/**
 * Goal: L1 to L5. Method: several processes on one in-memory store under virtual time; from a seed
 * come delays, lost answers, writes that land long after their time-out, pauses and wall-clock
 * jumps. After every timer all leases are asked whether they are held.
 */
import type { Clock, Random } from "@murakkab/kit";
import { seededRandom, UnavailableError } from "@murakkab/kit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { KeyValue } from "../src/index.ts";
import { Lease, MemoryBroker } from "../src/index.ts";
import { VirtualClock } from "./virtual-clock.ts";

const TTL_MS = 15_000;
const POLL_MS = 1_000;
const PAUSE_MS = 10_000;
const CHECK_MS = 50;
/** Four hundred of each were run while this was written; these take two seconds. */
const RUN_COUNT = 25;
const SEEDS = fc.integer({ min: 0, max: 1_000_000 });

/** A process whose timers and answers stand still while it is paused; its clock goes on. */
class Process implements Clock {
  readonly name: string;
  private readonly clock: VirtualClock;
  private readonly wallOffsetMs: () => number;
  private pausedUntilMs = 0;

  constructor(name: string, clock: VirtualClock, wallOffsetMs: () => number) {
    this.name = name;
    this.clock = clock;
    this.wallOffsetMs = wallOffsetMs;
  }

  pause(forMs: number): void {
    this.pausedUntilMs = this.clock.monotonicMs() + forMs;
  }

  get isPaused(): boolean {
    return this.clock.monotonicMs() < this.pausedUntilMs;
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  wallMs(): number {
    return this.clock.wallMs() + this.wallOffsetMs();
  }

  after(delayMs: number, fn: () => void): () => void {
    let cancel = this.clock.after(delayMs, () => {
      if (!this.isPaused) fn();
      else cancel = this.after(this.pausedUntilMs - this.clock.monotonicMs(), fn);
    });
    return () => {
      cancel();
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }
}

interface Faults {
  /** Share of operations that go wrong in some way. */
  readonly rate: number;
}

/** The way to the store: each operation is late, lost, applied late, or applied unanswered. */
class FaultyKeyValue {
  private readonly store: KeyValue;
  private readonly process: Process;
  private readonly network: VirtualClock;
  private readonly random: Random;
  private readonly faults: Faults;

  constructor(
    parts: { store: KeyValue; process: Process; network: VirtualClock; random: Random },
    faults: Faults,
  ) {
    this.store = parts.store;
    this.process = parts.process;
    this.network = parts.network;
    this.random = parts.random;
    this.faults = faults;
  }

  readonly get: KeyValue["get"] = (key) => this.send(() => this.store.get(key));
  readonly create: KeyValue["create"] = (key, value) =>
    this.send(() => this.store.create(key, value));
  readonly update: KeyValue["update"] = (key, value, revision) =>
    this.send(() => this.store.update(key, value, revision));
  readonly delete: KeyValue["delete"] = (key, options) =>
    this.send(() => this.store.delete(key, options));

  private async send<T>(operate: () => Promise<T>): Promise<T> {
    const isFaulty = this.random.next() < this.faults.rate;
    const kind = isFaulty ? this.random.index(3) : 3;
    if (kind === 0) {
      await this.process.sleep(2_000);
      throw new UnavailableError("lost on the way");
    }
    // Up to 200 ms usually; a write that is late may land long after its sender gave up.
    const delayMs = this.random.next() * (kind === 1 ? 20_000 : 200);
    const landed = new Promise<T>((resolve, reject) => {
      this.network.after(delayMs, () => {
        operate().then(resolve, reject);
      });
    });
    landed.catch(() => undefined);
    if (kind === 3) {
      const result = await landed;
      await this.process.sleep(this.random.next() * 100);
      return result;
    }
    await this.process.sleep(kind === 1 ? 2_000 : delayMs + 1);
    throw new UnavailableError("no answer");
  }
}

interface World {
  readonly clock: VirtualClock;
  readonly processes: readonly Process[];
  readonly leases: readonly Lease[];
  readonly random: Random;
  readonly faults: { rate: number };
  readonly wallOffset: { ms: number };
  /** Names of those who hold now. */
  holders(): string[];
}

async function makeWorld(seed: number, count = 3): Promise<World> {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const broker = new MemoryBroker({ clock });
  const store = await broker.connect().state.openKeyValue("leases", { ttlMs: TTL_MS });
  const faults = { rate: 0.3 };
  const wallOffset = { ms: 0 };
  const names = Array.from({ length: count }, (_, index) => `p${index}`);
  const processes = names.map((name) => new Process(name, clock, () => wallOffset.ms));
  const leases = processes.map((process) => {
    const own = random.stream(process.name);
    const parts = { store, process, network: clock, random: own.stream("network") };
    const keyValue = new FaultyKeyValue(parts, faults) as unknown as KeyValue;
    const components = { keyValue, clock: process, random: own };
    return new Lease(components, { key: "leader", holder: process.name, ttlMs: TTL_MS });
  });
  const holders = (): string[] => names.filter((_, index) => (leases[index] as Lease).isHeld());
  return { clock, processes, leases, random: random.stream("world"), faults, wallOffset, holders };
}

/** Tries about once per second for ever, as a standby does; `choose` says how. */
async function compete(
  { processes, leases }: World,
  index: number,
  choose: (takenBy: string | null) => "no-responders" | null = () => null,
): Promise<void> {
  const [process, lease] = [processes[index] as Process, leases[index] as Lease];
  let takenBy: string | null = null;
  for (;;) {
    const after = choose(takenBy);
    const outcome = await lease
      .tryAcquire(after === null ? {} : { after })
      .catch(() => ({ kind: "taken", by: null }) as const);
    takenBy = outcome.kind === "taken" ? (outcome.by?.holder ?? null) : null;
    await process.sleep(POLL_MS);
  }
}

/** Pauses, jumps and releases from the seed. */
function disturb(world: World): void {
  const { random, processes, leases, wallOffset } = world;
  const at = random.index(processes.length);
  const what = random.next();
  if (what < 0.4) (processes[at] as Process).pause(random.next() * PAUSE_MS);
  else if (what < 0.6) wallOffset.ms += (random.next() - 0.5) * 3_600_000;
  else if (what < 0.7) void (leases[at] as Lease).release();
}

describe("a lease under faults", () => {
  test("is held by at most one (L1), with a token that grows (L4)", async () => {
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        const world = await makeWorld(seed);
        world.leases.forEach((_, index) => void compete(world, index));
        let last = { holder: "", revision: 0 };
        let heldCount = 0;
        for (let step = 0; step < 120_000 / CHECK_MS; step += 1) {
          if (step % 60 === 0) disturb(world);
          await world.clock.advance(CHECK_MS);
          const held = world.leases.filter((lease) => lease.isHeld());
          expect(world.holders().length).toBeLessThan(2);
          const [lease] = held;
          if (lease === undefined) continue;
          heldCount += 1;
          const [holder = ""] = world.holders();
          if (holder !== last.holder) expect(lease.revision).toBeGreaterThan(last.revision);
          else expect(lease.revision).toBeGreaterThanOrEqual(last.revision);
          last = { holder, revision: lease.revision };
        }
        expect(heldCount).toBeGreaterThan(0); // or it would prove nothing
      }),
      { numRuns: RUN_COUNT },
    );
  });

  test("is held by someone again once the faults end", async () => {
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        const world = await makeWorld(seed);
        world.leases.forEach((_, index) => void compete(world, index));
        for (let step = 0; step < 20; step += 1) {
          disturb(world);
          await world.clock.advance(1_000);
        }
        world.faults.rate = 0;
        // A write that was sent before may land 20 s late; then at most one age limit passes.
        await world.clock.advance(20_000 + PAUSE_MS + TTL_MS + 3 * POLL_MS);
        expect(world.holders().length).toBe(1);
        const [holder] = world.holders();
        await world.clock.advance(2 * TTL_MS);
        expect(world.holders()).toEqual([holder]); // and kept
      }),
      { numRuns: RUN_COUNT },
    );
  });

  test("overlaps only where someone took it from a paused holder (L2), until that one notices", async () => {
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        const world = await makeWorld(seed, 2);
        world.faults.rate = 0;
        const isGone = (name: string | null): boolean =>
          world.processes.find((process) => process.name === name)?.isPaused === true;
        world.leases.forEach((_, index) => {
          void compete(world, index, (by) => (isGone(by) ? "no-responders" : null));
        });
        await world.clock.advance(5_000 + world.random.next() * 10_000);
        const [old] = world.holders();
        const at = world.processes.findIndex((process) => process.name === old);
        (world.processes[at] as Process).pause(PAUSE_MS);
        await world.clock.advance(3 * POLL_MS);
        // Taken long before the age limit: the paused one still believes.
        expect(world.leases[1 - at]?.isHeld()).toBe(true);
        const tokens = world.leases.map((lease) => lease.revision);
        if (world.leases[at]?.isHeld() === true) {
          expect(tokens[1 - at]).toBeGreaterThan(tokens[at] ?? 0);
        }
        await world.clock.advance(PAUSE_MS + TTL_MS);
        expect(world.holders()).toEqual([`p${1 - at}`]);
      }),
      { numRuns: RUN_COUNT },
    );
  });
});

describe("a lease without faults", () => {
  async function quietWorld(count = 2): Promise<World> {
    const world = await makeWorld(1, count);
    world.faults.rate = 0;
    return world;
  }

  async function finish<T>({ clock }: World, promise: Promise<T>): Promise<T> {
    await clock.advance(2_000);
    return promise;
  }

  test("is renewed without change of hands, tells who has it, and is given back at once", async () => {
    const world = await quietWorld();
    const [first, second] = world.leases as [Lease, Lease];
    const held = await finish(world, first.tryAcquire());
    expect(held).toMatchObject({ kind: "held" });
    await world.clock.advance(10 * TTL_MS);
    expect(first.isHeld()).toBe(true);
    const { revision } = first;
    expect(await finish(world, second.tryAcquire())).toEqual({
      kind: "taken",
      by: { holder: "p0", revision },
    });
    let lostCount = 0;
    first.onLost(() => {
      lostCount += 1;
    });
    const released = first.release();
    expect(first.isHeld()).toBe(false);
    await finish(world, released);
    expect(await finish(world, second.tryAcquire())).toMatchObject({ kind: "held" });
    expect(second.revision).toBeGreaterThan(revision);
    expect(lostCount).toBe(0); // given back, not lost
  });

  test("is lost once where renewals fail, and not before its time (L5)", async () => {
    const world = await quietWorld();
    const [first] = world.leases as [Lease];
    await finish(world, first.tryAcquire());
    let lostCount = 0;
    first.onLost(() => {
      lostCount += 1;
    });
    world.faults.rate = 1;
    await world.clock.advance(TTL_MS / 2);
    expect([first.isHeld(), lostCount]).toEqual([true, 0]);
    await world.clock.advance(2 * TTL_MS);
    expect([first.isHeld(), lostCount]).toEqual([false, 1]);
    world.faults.rate = 0;
    await world.clock.advance(2 * TTL_MS);
    expect(first.isHeld()).toBe(false);
  });

  test("a takeover of a key that changed since is a conflict", async () => {
    const world = await quietWorld(3);
    const [first, second, third] = world.leases as [Lease, Lease, Lease];
    await finish(world, first.tryAcquire());
    await finish(world, second.tryAcquire());
    await world.clock.advance(TTL_MS); // the holder renews meanwhile: it is there
    const late = await finish(world, second.tryAcquire({ after: "no-responders" }));
    expect(late).toMatchObject({ kind: "taken", by: { holder: "p0" } });
    expect(first.isHeld()).toBe(true);
    world.processes[0]?.pause(PAUSE_MS); // or it may renew between the answer and the takeover
    await finish(world, second.tryAcquire());
    const now = await finish(world, second.tryAcquire({ after: "no-responders" }));
    expect(now).toMatchObject({ kind: "held" });
    // Who never saw a holder does not take it from one.
    const unseen = await finish(world, third.tryAcquire({ after: "no-responders" }));
    expect(unseen).toMatchObject({ kind: "taken", by: { holder: "p1" } });
  });

  // Both were found by the properties above.
  test("a delete that lands late does not free a key that was taken again", async () => {
    const clock = new VirtualClock();
    const broker = new MemoryBroker({ clock });
    const store = await broker.connect().state.openKeyValue("leases", { ttlMs: TTL_MS });
    let land: () => Promise<unknown> = async () => undefined;
    const keyValue: Pick<KeyValue, "get" | "create" | "update" | "delete"> = {
      get: (key) => store.get(key),
      create: (key, value) => store.create(key, value),
      update: (key, value, revision) => store.update(key, value, revision),
      delete: (key, options) => {
        land = () => store.delete(key, options);
        return Promise.reject(new UnavailableError("no answer"));
      },
    };
    const components = { keyValue: keyValue as KeyValue, clock, random: seededRandom(1) };
    const lease = new Lease(components, { key: "leader", holder: "p0", ttlMs: TTL_MS });
    await lease.tryAcquire();
    await lease.release();
    expect(await lease.tryAcquire()).toMatchObject({ kind: "held" });
    expect(await land()).toEqual({ kind: "conflict" });
    expect(await store.get("leader")).not.toBeNull();
  });

  test("a release also ends what was asked for before it and taken after", async () => {
    const world = await quietWorld();
    const [first, second] = world.leases as [Lease, Lease];
    const acquiring = first.tryAcquire();
    const released = first.release();
    await finish(world, Promise.all([acquiring, released]));
    expect(first.isHeld()).toBe(false);
    expect(await finish(world, second.tryAcquire())).toMatchObject({ kind: "held" });
  });
});
