/** Goal: H1 to H4. Method: claims by hand, and random ones against what was told. */
import { SILENT_LOGGER } from "@murakkab/kit";
import type { PassedValue } from "@murakkab/protocol";
import { buildExecutor, VirtualClock } from "@murakkab/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fleet } from "../src/fleet.ts";
import {
  type Claim,
  holdersOf,
  type ShareableWork,
  type SharedResult,
  SharedResults,
  type SharedResultsOptions,
} from "../src/shared-results.ts";
import { registrationOf } from "./fleet-builder.ts";

const inline = (value: unknown): PassedValue => ({ kind: "inline", value });
const EXECUTOR = {
  ...buildExecutor("e", "e", { inputs: {}, outputs: {} }),
  programs: ["tool"],
};
const PLACE = { instance: "i1", node: "n1" };
const file = (name: string) => ({
  artifact: `artifact://sha256/${name.repeat(64).slice(0, 64)}`,
  ...{ bytes: 1, mediaType: "x/y" },
});

function work(inputs: unknown, changes: Partial<ShareableWork> = {}): ShareableWork {
  return {
    ...{ jobId: "j1", tenant: "t", executor: EXECUTOR, isBatch: false, where: "" },
    ...{ inputsHash: JSON.stringify(inputs), inputs: { x: inline(inputs) } },
    ...changes,
  };
}

class Bench {
  readonly clock = new VirtualClock();
  readonly fleet = new Fleet(this.clock);
  readonly shared: SharedResults;
  readonly told: string[] = [];

  constructor(options: SharedResultsOptions = {}) {
    this.register("1.0");
    const { clock, fleet } = this;
    this.shared = new SharedResults({ clock, fleet, log: SILENT_LOGGER }, options);
  }

  register(version: string): void {
    this.fleet.register(registrationOf("n1", { programs: { tool: version } }));
  }

  claim(name: string, it: ShareableWork): Claim {
    return this.shared.claim(it, {
      onLead: () => void this.told.push(`${name} leads`),
      onResult: ({ outputs, jobId }) =>
        void this.told.push(`${name} has ${JSON.stringify(outputs["out"])} of ${jobId}`),
    });
  }

  finish(claim: Claim | null, it: ShareableWork, value: unknown): void {
    const outputs = { out: inline(value) };
    const holders = holdersOf(outputs, () => ["n1"]);
    const result: SharedResult = { jobId: it.jobId, outputs, place: PLACE, holders };
    this.shared.finish(claim, it, result);
  }

  /** Whether a result is there. */
  has(it: ShareableWork): boolean {
    this.told.splice(0);
    this.shared.drop(this.claim("probe", it));
    return this.told[0] !== "probe leads";
  }

  async pass(ms = 1): Promise<void> {
    let isDue = false;
    this.clock.after(ms, () => {
      isDue = true;
    });
    await this.clock.runUntil(() => isDue);
  }
}

describe("shared results", () => {
  test("H2: equals at the same time: the first runs, the others get its result; later ones, too", async () => {
    const bench = new Bench();
    const leader = bench.claim("a", work(1));
    bench.claim("b", work(1, { jobId: "j2" }));
    bench.claim("other", work(2));
    expect(bench.told).toEqual(["a leads", "other leads"]);
    bench.finish(leader, work(1), "r");
    await bench.pass();
    bench.claim("late", work(1, { jobId: "j3" }));
    const result = 'has {"kind":"inline","value":"r"} of j1';
    expect(bench.told.slice(2)).toEqual([`b ${result}`, `late ${result}`]);
  });

  test("H2: nobody inherits a failure: the next one leads, the rest wait for it", async () => {
    const bench = new Bench();
    const first = bench.claim("a", work(1));
    const second = bench.claim("b", work(1));
    bench.claim("c", work(1));
    bench.shared.drop(first);
    await bench.pass();
    expect(bench.told).toEqual(["a leads", "b leads"]);
    bench.shared.finish(second, work(1), {
      ...{ jobId: "j2", outputs: {}, place: PLACE, holders: new Map() },
    });
    await bench.pass();
    expect(bench.told.slice(2)).toEqual(["c has undefined of j2"]);
  });

  test("H1: tenants, entries, places, batches and unequal inputs of one hash are kept apart", async () => {
    const bench = new Bench();
    bench.finish(null, work(1), "r");
    expect(bench.has(work(1))).toBe(true);
    expect(bench.has(work(1, { tenant: "u" }))).toBe(false);
    expect(bench.has(work(1, { executor: { ...EXECUTOR, version: "2" } }))).toBe(false);
    expect(bench.has(work(1, { where: "zone=a" }))).toBe(false);
    expect(bench.has(work(1, { isBatch: true }))).toBe(false);
    expect(bench.has(work(1, { inputs: { x: inline("another") } }))).toBe(false);
    expect(bench.has(work(1))).toBe(true);
    // Also while it runs: it does not wait for another input's result.
    bench.claim("a", work(2));
    bench.claim("b", work(2, { inputs: { x: inline("another") } }));
    expect(bench.told.slice(-2)).toEqual(["a leads", "b leads"]);
    const all = new Bench({ acrossTenants: true });
    all.finish(null, work(1), "r");
    expect(all.has(work(1, { tenant: "u" }))).toBe(true);
  });

  test("a program that changed, a holder that is gone, an artifact that is lost", () => {
    const bench = new Bench();
    bench.finish(null, work(1), "r");
    bench.register("2.0");
    expect(bench.has(work(1))).toBe(false);
    bench.finish(null, work(1), file("a"));
    bench.finish(null, work(2), [file("a"), file("b")]);
    bench.finish(null, work(3), file("b"));
    bench.shared.invalidate(file("a").artifact);
    expect([1, 2, 3].map((it) => bench.has(work(it)))).toEqual([false, false, true]);
    bench.fleet.removeNode("n1");
    bench.fleet.register(registrationOf("n2", { programs: { tool: "2.0" } }));
    expect(bench.has(work(3))).toBe(false);
    expect(bench.shared.count).toBe(0);
  });

  test("H4: number, bytes and age are bounded, the oldest goes first", async () => {
    const few = new Bench({ countMax: 2 });
    for (const it of [1, 2, 3]) few.finish(null, work(it), it);
    expect([1, 2, 3].map((it) => few.has(work(it)))).toEqual([false, true, true]);
    const small = new Bench({ bytesMax: 2_500 });
    for (const it of [1, 2, 3]) small.finish(null, work(it), "x".repeat(1_000));
    expect([1, 2, 3].map((it) => small.has(work(it)))).toEqual([false, true, true]);
    small.finish(null, work(4), "x".repeat(5_000));
    expect([2, 3, 4].map((it) => small.has(work(it)))).toEqual([true, true, false]);
    const young = new Bench({ ageMsMax: 100 });
    young.finish(null, work(1), 1);
    await young.pass(90);
    expect(young.has(work(1))).toBe(true);
    await young.pass(20);
    expect(young.has(work(1))).toBe(false);
  });

  test("only what is pure and deterministic is shareable", () => {
    const it = (changes: object) => SharedResults.isShareable({ ...EXECUTOR, ...changes });
    expect(it({})).toBe(true);
    expect(it({ isPure: false })).toBe(false);
    expect(it({ isDeterministic: false })).toBe(false);
  });

  test("H2, H3 under random claims, ends and drops: one leads, each is told once", async () => {
    const step = fc.tuple(fc.constantFrom("claim", "claim", "finish", "drop"), fc.nat(20));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bench = new Bench({ ageMsMax: 3 });
        const claims = new Map<string, Claim>();
        const dropped = new Set<string>();
        const finished = new Set<string>();
        const leads = () =>
          bench.told.filter((it) => it.endsWith("leads")).map((it) => it.split(" ")[0]!);
        for (const [index, [what, pick]] of steps.entries()) {
          const open = leads().filter((name) => !dropped.has(name) && !finished.has(name));
          // H2, per key: two keys are used.
          for (const key of ["0", "1"]) {
            expect(open.filter((name) => name.startsWith(`k${key}`)).length).toBeLessThanOrEqual(1);
          }
          const key = pick % 2;
          const any = [...claims.keys()].filter((name) => !finished.has(name));
          if (what === "claim") {
            const name = `k${key}-${index}`;
            claims.set(name, bench.claim(name, work(key)));
          } else if (what === "finish" && open.length > 0) {
            const name = open[pick % open.length]!;
            finished.add(name);
            bench.finish(claims.get(name)!, work(Number(name[1])), name);
          } else if (what === "drop" && any.length > 0) {
            const name = any[pick % any.length]!;
            const isTold = bench.told.some((it) => it.startsWith(`${name} has`));
            if (!isTold) dropped.add(name);
            bench.shared.drop(claims.get(name)!);
          }
          await bench.pass(2);
        }
        for (let turn = 0; turn < 80; turn += 1) {
          const name = leads().find((it) => !dropped.has(it) && !finished.has(it));
          if (name === undefined) break;
          finished.add(name);
          bench.finish(claims.get(name)!, work(Number(name[1])), name);
          await bench.pass(2);
        }
        for (const name of claims.keys()) {
          const told = bench.told.filter((it) => it.startsWith(`${name} `));
          // A waiter that leads later is told one thing, too (H3); a dropped one at most one.
          expect(told.length, name).toBeLessThanOrEqual(1);
          if (!dropped.has(name)) expect(told, name).toHaveLength(1);
        }
      }),
      { numRuns: 150 },
    );
  });
});
