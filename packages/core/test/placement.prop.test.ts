/** Goal: placement never promises more than a node has, and finds room where there is room. */
import {
  constraintsKey,
  type PlacementDemand,
  type PlacementSnapshot,
  placeAttempt,
} from "@murakkab/core";
import { buildExecutor } from "@murakkab/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";

const ports = { inputs: { a: "a" }, outputs: { b: "b" } };

const executor = fc
  .record({
    id: fc.constantFrom("x", "y", "z"),
    cores: fc.constantFrom(0, 0.5, 1, 2, 4),
    concurrency: fc.constantFrom(1, 2, 3),
    memoryMib: fc.integer({ min: 16, max: 512 }),
    program: fc.constantFrom("ffmpeg", "tesseract"),
  })
  .map(({ id, cores, concurrency, memoryMib, program }) =>
    buildExecutor(id, id, ports, {
      resources: { cores, memoryMib, concurrency },
      programs: [program],
    }),
  );

const node = (name: string) =>
  fc
    .record({
      cpusOffered: fc.constantFrom(1, 2, 4),
      busyRatio: fc.constantFrom(0, 0.5, 1),
      memoryOfferedMib: fc.integer({ min: 64, max: 1_024 }),
      usedRatio: fc.constantFrom(0, 0.4, 0.9),
      programs: fc.subarray(["ffmpeg", "tesseract"]),
      zone: fc.constantFrom("a", "b"),
      kind: fc.constantFrom({}, { kind: "fast" }, { kind: "slow" }),
    })
    .map((it) => ({
      node: name,
      ...it.kind,
      cpusOffered: it.cpusOffered,
      cpusFree: it.cpusOffered * (1 - it.busyRatio),
      memoryOfferedMib: it.memoryOfferedMib,
      memoryFreeMib: Math.floor(it.memoryOfferedMib * (1 - it.usedRatio)),
      labels: { zone: it.zone },
      programs: new Set(it.programs),
    }));

const instance = fc.record({
  instance: fc.uuid(),
  node: fc.constantFrom("n0", "n1", "n2"),
  executor: fc.constantFrom("x", "y", "z"),
  state: fc.constantFrom("starting" as const, "ready" as const, "stopping" as const),
  inFlightCount: fc.integer({ min: 0, max: 3 }),
  memoryMib: fc.integer({ min: 16, max: 256 }),
  usedAtMs: fc.integer({ min: 0, max: 100 }),
});

const snapshot: fc.Arbitrary<PlacementSnapshot> = fc.record({
  nodes: fc.tuple(node("n0"), node("n1"), node("n2")).map((nodes) => [...nodes]),
  instances: fc.array(instance, { maxLength: 8 }),
});

const demand = fc
  .record({
    executor,
    labels: fc.constantFrom({}, { zone: "a" }),
    kind: fc.constantFrom({}, { nodeKind: "fast" }),
    only: fc.constantFrom({}, { nodes: ["n0", "n2"] }, { nodes: [] }),
    avoidInstances: fc.constant(new Set<string>()),
    localBytes: fc.constant(new Map<string, number>()),
    waitingCount: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ kind, only, ...rest }): PlacementDemand => ({ ...rest, ...kind, ...only }));

test("safety: what is placed fits cores, memory, programs, labels, kind and host", () => {
  fc.assert(
    fc.property(snapshot, demand, (fleet, wanted) => {
      const placement = placeAttempt(fleet, wanted);
      if (placement.kind !== "run" && placement.kind !== "start") return;
      const at = fleet.nodes.find((it) => it.node === placement.node);
      expect(at?.cpusFree).toBeGreaterThanOrEqual(wanted.executor.resources.cores);
      for (const program of wanted.executor.programs) expect(at?.programs).toContain(program);
      for (const [name, value] of Object.entries(wanted.labels))
        expect(at?.labels).toHaveProperty(name, value);
      if (wanted.nodeKind !== undefined) expect(at?.kind).toBe(wanted.nodeKind);
      if (wanted.nodes !== undefined) expect(wanted.nodes).toContain(placement.node);
      if (placement.kind === "run") {
        const it = fleet.instances.find((other) => other.instance === placement.instance);
        expect(it).toMatchObject({ state: "ready", executor: wanted.executor.id });
        expect(it?.inFlightCount).toBeLessThan(wanted.executor.resources.concurrency ?? 1); // P3
        return;
      }
      const freed = fleet.instances
        .filter((it) => placement.evict.includes(it.instance))
        .reduce((sum, it) => sum + it.memoryMib, 0);
      expect((at?.memoryFreeMib ?? 0) + freed).toBeGreaterThanOrEqual(
        wanted.executor.resources.memoryMib,
      );
    }),
  );
});

test("liveness: an empty fleet with room starts an instance; infeasible only if no node ever could", () => {
  fc.assert(
    fc.property(snapshot, demand, (fleet, wanted) => {
      const idle = {
        instances: [],
        nodes: fleet.nodes.map((it) => ({
          ...it,
          cpusFree: it.cpusOffered,
          memoryFreeMib: it.memoryOfferedMib,
        })),
      };
      const couldEver = idle.nodes.some(
        (it) =>
          it.cpusOffered >= wanted.executor.resources.cores &&
          it.memoryOfferedMib >= wanted.executor.resources.memoryMib &&
          wanted.executor.programs.every((program) => it.programs.has(program)) &&
          (wanted.nodeKind === undefined || it.kind === wanted.nodeKind) &&
          (wanted.nodes === undefined || wanted.nodes.includes(it.node)) &&
          Object.entries(wanted.labels).every(([name, value]) =>
            Object.entries(it.labels).some(([n, v]) => n === name && v === value),
          ),
      );
      expect(placeAttempt(idle, wanted).kind).toBe(couldEver ? "start" : "infeasible");
    }),
  );
});

test("same snapshot and demand, same placement; every rejection has a reason", () => {
  fc.assert(
    fc.property(snapshot, demand, (fleet, wanted) => {
      const first = placeAttempt(fleet, wanted);
      expect(placeAttempt(fleet, wanted)).toEqual(first);
      if (first.kind !== "wait" && first.kind !== "infeasible") return;
      for (const { reason } of first.rejected) expect(reason.length).toBeGreaterThan(0);
    }),
  );
});

test("P3: attempts without a core share an instance up to its concurrency, then start another", () => {
  const resources = { cores: 0, memoryMib: 64, concurrency: 2 };
  const entry = buildExecutor("x", "x", ports, { resources });
  const node = {
    node: "n0",
    cpusOffered: 2,
    cpusFree: 0,
    memoryOfferedMib: 512,
    memoryFreeMib: 512,
    labels: {},
    programs: new Set<string>(),
  };
  const place = (inFlightCounts: readonly number[], waitingCount = 1) =>
    placeAttempt(
      {
        nodes: [node],
        instances: inFlightCounts.map((inFlightCount, index) => ({
          instance: `x-${index}`,
          node: "n0",
          executor: "x",
          state: "ready" as const,
          inFlightCount,
          memoryMib: 64,
          usedAtMs: 0,
        })),
      },
      {
        executor: entry,
        labels: {},
        avoidInstances: new Set(),
        localBytes: new Map(),
        waitingCount,
      },
    );
  expect(place([])).toMatchObject({ kind: "start", node: "n0" });
  expect(place([1])).toMatchObject({ kind: "run", instance: "x-0" });
  expect(place([2])).toMatchObject({ kind: "start" });
  expect(place([1, 0])).toMatchObject({ kind: "run", instance: "x-1" });
  expect(place([2, 2]).kind).toBe("wait"); // two cores are offered: a third loop has none
});

test("a retry avoids the instance that failed while another can take it", () => {
  const entry = buildExecutor("x", "x", ports);
  const nodes = ["n0", "n1"].map((name) => ({
    node: name,
    cpusOffered: 1,
    cpusFree: 1,
    memoryOfferedMib: 512,
    memoryFreeMib: 512,
    labels: {},
    programs: new Set<string>(),
  }));
  const instances = nodes.map((it) => ({
    instance: `x-${it.node}`,
    node: it.node,
    executor: "x",
    state: "ready" as const,
    inFlightCount: 0,
    memoryMib: 64,
    usedAtMs: 0,
  }));
  const wanted = {
    executor: entry,
    labels: {},
    localBytes: new Map<string, number>(),
    waitingCount: 1,
  };
  const placed = placeAttempt(
    { nodes, instances },
    { ...wanted, avoidInstances: new Set(["x-n0"]) },
  );
  expect(placed).toEqual({ kind: "run", instance: "x-n1", node: "n1" });
});

test("an instance that starts on a node of another kind does not keep work waiting", () => {
  const entry = buildExecutor("x", "x", ports, { programs: [] });
  const base = {
    ...{ cpusOffered: 2, cpusFree: 2, memoryOfferedMib: 512, memoryFreeMib: 512 },
    ...{ labels: {}, programs: new Set<string>() },
  };
  const nodes = [
    { ...base, node: "n0", kind: "slow" },
    { ...base, node: "n1", kind: "fast" },
    { ...base, node: "n2" },
  ];
  const starting = { instance: "i", node: "n0", executor: "x", state: "starting" as const };
  const instances = [{ ...starting, inFlightCount: 0, memoryMib: 64, usedAtMs: 0 }];
  const wanted: PlacementDemand = {
    ...{ executor: entry, labels: {}, waitingCount: 1, nodeKind: "fast" },
    ...{ avoidInstances: new Set(), localBytes: new Map() },
  };
  expect(placeAttempt({ nodes, instances }, wanted)).toMatchObject({ kind: "start", node: "n1" });
  const nowhere = placeAttempt({ nodes, instances }, { ...wanted, nodeKind: "gpu" });
  expect(nowhere).toEqual({
    kind: "infeasible",
    rejected: [
      { node: "n0", reason: "it is of kind slow, not gpu" },
      { node: "n1", reason: "it is of kind fast, not gpu" },
      { node: "n2", reason: "it is of kind unknown, not gpu" },
    ],
  });
});

test("equal constraints have one key, none an empty one", () => {
  expect(constraintsKey({ labels: {} })).toBe("");
  const key = constraintsKey({ labels: { a: "1", b: "2" }, nodes: ["n"] });
  expect(constraintsKey({ nodes: ["n"], labels: { b: "2", a: "1" } })).toBe(key);
  expect(constraintsKey({ labels: {}, nodeKind: "x" })).not.toBe("");
});
