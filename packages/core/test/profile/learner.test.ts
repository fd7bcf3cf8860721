/** Goal: the learner predicts what it saw, notices what changed, once, and stays bounded. */
import {
  type LearnerEvent,
  PROFILES_MAX,
  ProfileLearner,
  predictLine,
  profileKeyText,
} from "@murakkab/core";
import { type Random, seededRandom } from "@murakkab/kit";
import { ANY_NODE_KIND, type AttemptObservation, type ExecutorProfile } from "@murakkab/model";
import { describe, expect, test } from "vitest";

const KIND = "epyc-2core";

interface Attempt {
  readonly executor?: string;
  readonly knobs?: AttemptObservation["knobs"];
  readonly node?: string;
  readonly nodeKind?: string;
  readonly size?: number;
  readonly factor?: number;
}

/** A fleet whose executors take `fixed + 10 ms per unit`, with some noise. */
class Fleet {
  readonly learner = new ProfileLearner();
  readonly events: LearnerEvent[] = [];
  private readonly random: Random;
  private atMs = 1_700_000_000_000;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }

  run(attempt: Attempt = {}): void {
    const { executor = "ocr", knobs = {}, node = "n1", nodeKind = KIND, factor = 1 } = attempt;
    const size = attempt.size ?? 1 + this.random.index(20);
    const noise = Math.exp(0.15 * (2 * this.random.next() - 1));
    const runMs = (50 + 10 * size) * factor * noise;
    this.atMs += 1_000;
    this.events.push(
      ...this.learner.observe({
        ...{ executor, version: "1", knobs, node, nodeKind, size, runMs },
        cpuSec: runMs / 1_000,
        memoryBytesMax: 1e6 * size,
        outputSizes: { text: 2 * size },
        atMs: this.atMs,
      }),
    );
  }

  many(count: number, attempt: (index: number) => Attempt = () => ({})): void {
    for (let i = 0; i < count; i += 1) this.run(attempt(i));
  }

  msOf(size: number, executor = "ocr", knobs: AttemptObservation["knobs"] = {}): number {
    const profile = this.learner.predictFor({ id: executor, version: "1" }, knobs, KIND);
    return predictLine(profile?.runMs as never, size);
  }
}

const prior = (change: Partial<ExecutorProfile> = {}): ExecutorProfile => ({
  executor: "ocr",
  version: "1",
  knobs: {},
  nodeKind: KIND,
  runMs: { fixed: 500, perUnit: 100, spread: 0.2 },
  cpuSec: { fixed: 0.5, perUnit: 0.1, spread: 0.2 },
  outputSizes: { text: { fixed: 0, perUnit: 2, spread: 0.1 } },
  memoryBytesMax: 5e6,
  startMs: 300,
  provenance: { kind: "measured", note: "shipped", count: 40 },
  ...change,
});

describe("profiles", () => {
  test("say what attempts of a size take, make and need", () => {
    const fleet = new Fleet();
    fleet.many(40);
    const profile = fleet.learner.profileOf({
      ...{ executor: "ocr", version: "1", knobs: {}, nodeKind: KIND },
    });
    expect(fleet.msOf(10) / 150).toBeCloseTo(1, 1);
    expect(profile?.cpuSec.perUnit).toBeCloseTo(0.01, 2);
    expect(predictLine(profile?.outputSizes.text as never, 10)).toBeCloseTo(20, 0);
    expect(profile?.memoryBytesMax).toBe(20e6);
    expect(profile?.provenance).toMatchObject({ kind: "measured", nodeKind: KIND, count: 40 });
    expect(profile?.provenance.at).toMatch(/^2023-11-14T/);
  });

  test("nonsense and repetitions teach nothing", () => {
    const learner = new ProfileLearner();
    const good = {
      ...{ executor: "ocr", version: "1", knobs: {}, node: "n1", nodeKind: KIND, size: 1 },
      ...{ runMs: 10, cpuSec: 1, memoryBytesMax: null, outputSizes: {}, atMs: 5 },
    };
    learner.observe({ ...good, runMs: Number.NaN });
    learner.observe({ ...good, size: -1 });
    learner.observe({ ...good, outputSizes: { a: Number.POSITIVE_INFINITY } });
    expect(learner.profiles()).toEqual([]);
    learner.observe(good);
    learner.observe(good);
    expect(learner.profiles()[0]?.provenance.count).toBe(1);
  });

  test("keep what long inputs take while short ones flood in", () => {
    const fleet = new Fleet();
    fleet.many(5, () => ({ size: 500 }));
    fleet.many(500, () => ({ size: 5 }));
    expect(fleet.msOf(500) / 5_050).toBeCloseTo(1, 0);
    expect(fleet.learner.recordOf(profileKeyText(keyOf()))?.samples.length).toBeLessThanOrEqual(64);
  });

  test("are bounded in number: the least recently seen go", () => {
    const fleet = new Fleet();
    fleet.many(PROFILES_MAX + 50, (i) => ({ executor: `e${i}` }));
    expect(fleet.learner.profiles()).toHaveLength(PROFILES_MAX);
    expect(fleet.learner.predictFor({ id: "e0", version: "1" }, {}, KIND)).toBeNull();
    expect(fleet.learner.predictFor({ id: "e60", version: "1" }, {}, KIND)).not.toBeNull();
  });

  test("a shipped one counts until own attempts outweigh it", () => {
    const fleet = new Fleet();
    fleet.learner.setPriors([prior()]);
    expect(fleet.msOf(10)).toBe(1_500);
    fleet.many(60);
    expect(fleet.msOf(10)).toBeLessThan(250);
  });

  test("cold starts are told apart", () => {
    const fleet = new Fleet();
    fleet.many(4);
    for (const startMs of [400, 500, 9_000]) {
      fleet.learner.observeStart({ executor: "ocr", version: "1", nodeKind: KIND, startMs });
    }
    expect(fleet.learner.profileOf(keyOf())?.startMs).toBe(500);
  });
});

describe("what was never measured", () => {
  test("is carried over from another kind of node, and says so", () => {
    const fleet = new Fleet();
    fleet.many(20);
    const elsewhere = fleet.learner.predictFor({ id: "ocr", version: "1" }, {}, "xeon");
    const here = fleet.learner.predictFor({ id: "ocr", version: "1" }, {}, KIND);
    expect(elsewhere?.runMs.fixed).toBe(here?.runMs.fixed);
    expect(elsewhere?.runMs.spread).toBeGreaterThan((here?.runMs.spread ?? 9) + 0.2);
    expect(elsewhere?.provenance).toMatchObject({ kind: "modelled" });
    expect(elsewhere?.provenance.note).toContain(KIND);
  });

  test("a profile that holds on any node is taken before that of another kind", () => {
    const learner = new ProfileLearner();
    learner.setPriors([prior({ nodeKind: "xeon" }), prior({ nodeKind: ANY_NODE_KIND })]);
    expect(learner.predictFor({ id: "ocr", version: "1" }, {}, KIND)?.nodeKind).toBe(ANY_NODE_KIND);
  });

  test("knobs multiply, one at a time", () => {
    const fleet = new Fleet();
    const times = { "1/1": 1, "2/1": 3, "1/2": 0.5 };
    for (const [name, factor] of Object.entries(times)) {
      const [a, b] = name.split("/").map(Number) as [number, number];
      fleet.many(20, () => ({ knobs: { a, b }, factor }));
    }
    expect(fleet.msOf(10, "ocr", { a: 2, b: 2 }) / (150 * 3 * 0.5)).toBeCloseTo(1, 0);
    const profile = fleet.learner.predictFor({ id: "ocr", version: "1" }, { a: 2, b: 2 }, KIND);
    expect(profile?.provenance).toMatchObject({ kind: "prior" });
    const unknown = fleet.learner.predictFor({ id: "ocr", version: "1" }, { a: 9, b: 1 }, KIND);
    expect(unknown?.runMs.spread).toBeGreaterThan(profile?.runMs.spread ?? 9);
    expect(unknown?.provenance.note).toContain("a (effect unknown)");
  });

  test("is null for an executor that never ran; an old version stands in for a new one", () => {
    const fleet = new Fleet();
    fleet.many(10);
    expect(fleet.learner.predictFor({ id: "other", version: "1" }, {}, KIND)).toBeNull();
    const next = fleet.learner.predictFor({ id: "ocr", version: "2" }, {}, KIND);
    expect(next?.provenance.note).toContain("version 2 was never run");
  });
});

describe("drift", () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

  test("a node that becomes three times slower is told once, within ten attempts, and scaled", () => {
    for (const seed of seeds) {
      const fleet = new Fleet(seed);
      const executor = (i: number) => ["ocr", "speech", "frames"][i % 3] ?? "ocr";
      fleet.many(90, (i) => ({ executor: executor(i), node: i % 2 === 0 ? "n1" : "n2" }));
      expect(fleet.events).toEqual([]);
      fleet.many(10, (i) => ({ executor: executor(i), factor: 3 }));
      expect(fleet.learner.speedOf("n1")).toBeGreaterThan(2.4);
      expect(fleet.learner.speedOf("n1")).toBeLessThan(3.6);
      expect(fleet.learner.speedOf("n2")).toBeCloseTo(1, 0);
      fleet.many(60, (i) => ({ executor: executor(i), factor: 3 }));
      expect(fleet.events).toMatchObject([{ kind: "node-drifted", node: "n1" }]);
      // The profile still says what a healthy node takes.
      expect(fleet.msOf(10) / 150).toBeCloseTo(1, 0);
      fleet.many(30, (i) => ({ executor: executor(i) }));
      expect(fleet.events).toHaveLength(2);
      expect(fleet.learner.speedOf("n1")).toBeCloseTo(1, 0);
    }
  });

  test("the same with one node and one executor, where nothing else explains it", () => {
    for (const seed of seeds) {
      const fleet = new Fleet(seed);
      fleet.many(30);
      fleet.many(10, () => ({ factor: 3 }));
      const predicted = fleet.msOf(10) * fleet.learner.speedOf("n1");
      expect(predicted / 450).toBeGreaterThan(0.75);
      expect(predicted / 450).toBeLessThan(1.3);
      fleet.many(60, () => ({ factor: 3 }));
      expect(fleet.events).toMatchObject([{ kind: "node-drifted", node: "n1" }]);
    }
  });

  test("single slow attempts are no drift", () => {
    for (const seed of seeds) {
      const fleet = new Fleet(seed);
      fleet.many(300, (i) => ({ factor: i % 12 === 5 ? 10 : 1 }));
      expect(fleet.events).toEqual([]);
      expect(Math.abs(Math.log(fleet.learner.speedOf("n1")))).toBeLessThan(0.25);
      expect(Math.abs(Math.log(fleet.msOf(10) / 150))).toBeLessThan(0.1);
    }
  });

  test("an executor that becomes slower everywhere loses its old samples, once", () => {
    for (const seed of seeds) {
      const fleet = new Fleet(seed);
      const executor = (i: number) => ["ocr", "speech", "frames"][i % 3] ?? "ocr";
      const node = (i: number) => (i % 2 === 0 ? "n1" : "n2");
      fleet.many(90, (i) => ({ executor: executor(i), node: node(i) }));
      fleet.many(120, (i) => ({
        ...{ executor: executor(i), node: node(i) },
        factor: executor(i) === "ocr" ? 3 : 1,
      }));
      expect(fleet.events).toMatchObject([
        { kind: "profile-drifted", profile: { executor: "ocr" }, nodes: ["n1", "n2"] },
      ]);
      expect(fleet.msOf(10) / 450).toBeGreaterThan(0.8);
      expect(fleet.msOf(10) / 450).toBeLessThan(1.25);
      expect(fleet.msOf(10, "speech") / 150).toBeCloseTo(1, 0);
      expect(fleet.learner.speedOf("n1")).toBeCloseTo(1, 0);
    }
  });

  test("an executor that is slow on one of three nodes keeps its profile", () => {
    const fleet = new Fleet(3);
    const executor = (i: number) => ["ocr", "speech", "frames"][Math.floor(i / 3) % 3] ?? "ocr";
    const node = (i: number) => `n${i % 3}`;
    const isSlow = (i: number) => executor(i) === "ocr" && node(i) === "n0";
    fleet.many(180, (i) => ({ executor: executor(i), node: node(i) }));
    fleet.many(360, (i) => ({
      ...{ executor: executor(i), node: node(i) },
      factor: isSlow(i) ? 4 : 1,
    }));
    expect(fleet.events.filter((it) => it.kind === "profile-drifted")).toEqual([]);
    expect(fleet.msOf(10) / 150).toBeCloseTo(1, 0);
  });
});

describe("sharing", () => {
  test("merging is idempotent, commutes, and void samples stay void", () => {
    const mine = new Fleet(1);
    const other = new Fleet(2);
    mine.many(50);
    other.many(50, () => ({ node: "n2" }));
    const record = (fleet: Fleet) => fleet.learner.recordOf(profileKeyText(keyOf())) as never;
    const a = new ProfileLearner();
    const b = new ProfileLearner();
    expect(a.mergeRecord(record(mine))).toBe(true);
    a.mergeRecord(record(other));
    expect(a.mergeRecord(record(other))).toBe(false);
    b.mergeRecord(record(other));
    b.mergeRecord(record(mine));
    expect(b.profiles()).toEqual(a.profiles());
    a.mergeRecord({ ...keyOf(), samples: [], resetAtMs: 1_700_000_000_000 + 49_500 });
    a.mergeRecord(record(mine));
    expect(a.profiles()[0]?.provenance.count).toBe(2);
  });

  test("another's belief of a node holds until own attempts, and ends when it is taken back", () => {
    const fleet = new Fleet();
    fleet.many(10, () => ({ node: "n2" }));
    fleet.learner.setNodeSpeeds(
      new Map([
        ["n1", Math.log(3)],
        ["n2", Math.log(3)],
      ]),
    );
    expect(fleet.learner.speedOf("n1")).toBeCloseTo(3, 9);
    expect(fleet.learner.speedOf("n2")).toBe(1);
    fleet.learner.setNodeSpeeds(new Map());
    expect(fleet.learner.speedOf("n1")).toBe(1);
  });

  test("what changed is told once", () => {
    const fleet = new Fleet();
    fleet.many(3);
    fleet.run({ executor: "speech" });
    expect(fleet.learner.takeChanged()).toHaveLength(2);
    expect(fleet.learner.takeChanged()).toEqual([]);
  });
});

function keyOf() {
  return { executor: "ocr", version: "1", knobs: {}, nodeKind: KIND };
}
