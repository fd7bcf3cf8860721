/** Goal: profiles survive their file, files can be compared, and a wrong one names the place. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CATALOGUE_DIR,
  diffProfiles,
  formatProblem,
  formatProfiles,
  loadLibrary,
  loadProfiles,
  PROFILES_FOLDER,
} from "@murakkab/library";
import type { ExecutorEntry, ExecutorProfile, ProfileSet } from "@murakkab/model";
import { buildExecutor } from "@murakkab/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "murakkab-profiles-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string, name = "test.yaml"): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const ocr: ExecutorEntry = buildExecutor(
  "ocr",
  "text-detection",
  { inputs: { frame: "frame" }, outputs: { text: "screen-text", boxes: "list<box>" } },
  { version: "1.0.0", knobs: { width: { description: "w", values: [320, 640], default: 640 } } },
);

const profile = (change: Partial<ExecutorProfile> = {}): ExecutorProfile => ({
  ...{ executor: "ocr", version: "1.0.0", knobs: { width: 640 }, nodeKind: "epyc" },
  runMs: { fixed: 100, perUnit: 0.5, spread: 0.2 },
  cpuSec: { fixed: 0.1, perUnit: 0, spread: 0.2 },
  outputSizes: {
    boxes: { fixed: 1, perUnit: 0, spread: 0.3 },
    text: { fixed: 300, perUnit: 0, spread: 0.3 },
  },
  ...{ memoryBytesMax: 66e6, startMs: null },
  provenance: {
    ...{ kind: "measured", note: "test", at: "2026-01-31T12:00:00.000Z" },
    ...{ nodeKind: "epyc", count: 40 },
  },
  ...change,
});

const set: ProfileSet = {
  executors: [profile({ knobs: { width: 640 } }), profile({ knobs: { width: 320 } })],
  workflows: [
    {
      workflow: "question-answering-0123456789abcdef",
      configurations: [
        {
          configuration: "question-answering=x{} text-detection=ocr{width=640}",
          byClass: { what: { scoreSum: 17.5, count: 20 }, "who-wears": { scoreSum: 3, count: 3 } },
          feedback: { what: { scoreSum: 0.5, count: 1 } },
          provenance: { kind: "measured", note: "test", count: 23 },
          sureRatio: { what: { scoreSum: 4, count: 9 } },
        },
      ],
    },
  ],
};

const order = (it: ProfileSet): unknown => ({
  executors: [...it.executors].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  workflows: it.workflows,
});

describe("profile files", () => {
  test("give back what was written, in one order, with units in the names", () => {
    const text = formatProfiles(set, [ocr]);
    const { problems, ...loaded } = loadProfiles([write(text)], [ocr]);
    expect(problems).toEqual([]);
    expect(order(loaded)).toEqual(order(set));
    const shuffled = { ...set, executors: [...set.executors].reverse() };
    expect(formatProfiles(shuffled, [ocr])).toBe(text);
    expect(text).toContain("runMs: { fixedMs: 100, perUnitMs: 0.5, spread: 0.2 }");
    expect(text).toContain("boxes: { unit: items, fixed: 1, perUnit: 0, spread: 0.3 }");
    expect(text).toContain("what: { scoreSum: 17.5, count: 20 }");
  });

  test("property: numbers of any size survive to six digits", () => {
    const amount = fc.double({ min: 0, max: 1e12, noNaN: true });
    const line = fc.record({ fixed: amount, perUnit: amount, spread: amount });
    const any = fc.record({ runMs: line, cpuSec: line, startMs: fc.option(amount) });
    fc.assert(
      fc.property(any, fc.string({ minLength: 1 }), (change, note) => {
        const given = profile({ ...change, provenance: { kind: "prior", note } });
        const text = formatProfiles({ executors: [given], workflows: [] }, [ocr]);
        const { executors, problems } = loadProfiles([write(text)], [ocr]);
        expect(problems).toEqual([]);
        const [read] = executors;
        expect(read?.provenance.note).toBe(note);
        for (const field of ["fixed", "perUnit", "spread"] as const) {
          const [a, b] = [read?.runMs[field] ?? -1, given.runMs[field]];
          expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-5 * b);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("an absent or empty folder is no profile; a named file must be there", () => {
    expect(loadProfiles([join(folder, "nowhere")])).toEqual({
      ...{ executors: [], workflows: [], problems: [] },
    });
    const [problem] = loadProfiles([join(folder, "nowhere.yaml")]).problems;
    expect(problem?.message).toContain("cannot be read");
  });

  test("the shipped ones agree with the shipped library, which does not take them for executors", () => {
    const library = loadLibrary([CATALOGUE_DIR]);
    const shipped = loadProfiles([join(CATALOGUE_DIR, PROFILES_FOLDER)], library.executors);
    expect(shipped.problems.map(formatProblem)).toEqual([]);
    const own = join(folder, "own", PROFILES_FOLDER);
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "p.yaml"), formatProfiles(set, [ocr]));
    expect(loadLibrary([join(folder, "own")]).problems).toEqual([]);
  });

  test("of two files the later one's profile stands", () => {
    const slow = profile({ startMs: 9 });
    const files = [set, { executors: [slow], workflows: [] }].map((it, i) =>
      write(formatProfiles(it, [ocr]), `p${i}.yaml`),
    );
    const { executors } = loadProfiles(files, [ocr]);
    expect(executors).toHaveLength(2);
    expect(executors.find((it) => it.knobs["width"] === 640)?.startMs).toBe(9);
  });
});

describe("wrong profile files", () => {
  const text = formatProfiles({ ...set, executors: [profile()] }, [ocr]);
  const lineOf = (part: string): number => text.slice(0, text.indexOf(part)).split("\n").length;

  test.each([
    [
      "fixedMs: 100",
      "fixedMs: .nan",
      "executors.0.runMs.fixedMs",
      /NaN: expected a finite number of ms/,
    ],
    ["fixedMs: 100", "fixedMs: .inf", "executors.0.runMs.fixedMs", /Infinity: expected a finite/],
    ["fixedMs: 100", "fixedMs: -1", "executors.0.runMs.fixedMs", /-1: expected .* 0 or more/],
    ["fixedMs: 100", "fixedMs: 1s", "executors.0.runMs.fixedMs", /"1s": expected/],
    ["fixedMs: 100, ", "", "executors.0.runMs.fixedMs", /missing: expected/],
    ["fixedMs: 100", "fixed: 100", "executors.0.runMs", /unknown field "fixed"|missing/],
    ["unit: items, ", "", "executors.0.outputSizes.boxes.unit", /missing: expected items/],
    [
      "unit: items",
      "unit: bytes",
      "executors.0.outputSizes.boxes.unit",
      /"bytes" is not the unit.*items/,
    ],
    [
      "boxes:",
      "circles:",
      "executors.0.outputSizes.circles",
      /no output of ocr, expected boxes, text/,
    ],
    [
      "executor: ocr",
      "executor: orc",
      "executors.0.executor",
      /"orc" is no executor.*expected one of ocr/,
    ],
    ["width: 640", "width: 641", "executors.0.knobs.width", /641 is no value.*320, 640/],
    ["width: 640", "height: 640", "executors.0.knobs", /"height" is no knob of ocr|width missing/],
    [
      "kind: measured",
      "kind: dreamt",
      "executors.0.provenance.kind",
      /"dreamt": expected measured/,
    ],
    [
      "scoreSum: 17.5",
      "scoreSum: 21",
      "workflows.0.configurations.0.byClass.what.scoreSum",
      /no more than count/,
    ],
  ])("%s -> %s names file, line, field, value and expectation", (from, to, field, message) => {
    const file = write(text.replace(from, to));
    const { problems, executors, workflows } = loadProfiles([file], [ocr]);
    const found = problems.find((it) => it.severity === "error");
    expect({ file: found?.file, field: found?.field }).toMatchObject({ file });
    expect(problems.some((it) => it.field.startsWith(field) && message.test(it.message))).toBe(
      true,
    );
    const distance = Math.abs((found?.line ?? 0) - lineOf(from));
    expect(distance).toBeLessThanOrEqual(8);
    // A file with an error is left out whole.
    expect([executors, workflows]).toEqual([[], []]);
  });

  test("a missing provenance and a profile that is there twice", () => {
    const bare = text.replace(/ {4}provenance:\n(?: {6}.*\n)+|\n {4}provenance: \{.*\}/, "\n");
    expect(loadProfiles([write(bare)], [ocr]).problems[0]?.field).toBe("executors.0.provenance");
    const [whole = ""] = /executors:\n([\s\S]*?)workflows:/.exec(text)?.slice(1) ?? [];
    const twice = text.replace(whole, whole + whole);
    expect(loadProfiles([write(twice)], [ocr]).problems[0]?.message).toContain("there twice");
  });

  test("another version is told, and loaded", () => {
    const old = text.replace("version: 1.0.0", "version: 0.9.0");
    const { problems, executors } = loadProfiles([write(old)], [ocr]);
    expect(problems).toMatchObject([{ severity: "warning", field: "executors.0.version" }]);
    expect(executors).toHaveLength(1);
  });
});

describe("differences", () => {
  test("are none between a set and itself, in any order", () => {
    const shuffled = { ...set, executors: [...set.executors].reverse() };
    expect(diffProfiles(set, shuffled)).toEqual([]);
  });

  test("name what was added, removed and changed, with both values", () => {
    const [first, second] = set.executors as [ExecutorProfile, ExecutorProfile];
    const changed = { ...first, runMs: { ...first.runMs, perUnit: 0.7 }, startMs: 5 };
    const after: ProfileSet = {
      executors: [changed, profile({ executor: "new" })],
      workflows: [],
    };
    const before = { ...set, executors: [first, second] };
    expect(diffProfiles(before, after)).toMatchObject([
      { kind: "added", what: "executor", name: "new 1.0.0 {width=640} on epyc" },
      { kind: "removed", what: "executor", name: "ocr 1.0.0 {width=320} on epyc" },
      {
        kind: "changed",
        name: "ocr 1.0.0 {width=640} on epyc",
        fields: [
          { field: "runMs.perUnit", before: 0.5, after: 0.7 },
          { field: "startMs", before: null, after: 5 },
        ],
      },
      { kind: "removed", what: "configuration" },
    ]);
  });
});
