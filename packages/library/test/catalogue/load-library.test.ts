/**
 * Goal: a library's author reads file, line and field of every mistake.
 * Method: one sound file, and the same file with one planted mistake each.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadLibrary } from "../../src/catalogue/load-library.ts";
import { formatProblem } from "../../src/catalogue/problem.ts";
import { libraryFolder, SOUND_EXECUTOR } from "./library-folder.ts";

const KNOWN = { functions: ["answer"], parsers: ["parse-scenes"] };

describe("a sound executor file", () => {
  test("becomes an entry of the library", () => {
    const dir = libraryFolder({ "cutter.yaml": SOUND_EXECUTOR });
    const { executors, problems } = loadLibrary([dir], KNOWN);
    expect(problems).toEqual([]);
    expect(executors).toHaveLength(1);
    expect(executors[0]).toMatchObject({
      id: "cutter",
      timeLimitMs: 60_000,
      isPure: true,
      isDeterministic: true,
      pricePerCoreHourUsd: 0.05,
      missingMeans: "speech is not heard",
      inputs: { video: { type: "video" } },
      engine: { kind: "command", program: "ffmpeg" },
    });
  });

  test("is found in folders below, in order of names, and the price table is not an executor", () => {
    const second = SOUND_EXECUTOR.replace("id: cutter", "id: another");
    const dir = libraryFolder({
      "b/cutter.yaml": SOUND_EXECUTOR,
      "a/deep/another.yml": second,
      "prices.yaml": "price: {}\n",
    });
    const { executors, problems } = loadLibrary([dir]);
    expect(problems).toEqual([]);
    expect(executors.map(({ id }) => id)).toEqual(["another", "cutter"]);
  });
});

function functionExecutor(): string {
  const start = SOUND_EXECUTOR.indexOf("engine:");
  const end = SOUND_EXECUTOR.indexOf("programs:");
  return `${SOUND_EXECUTOR.slice(0, start)}engine: { kind: function, function: nothing }\n${SOUND_EXECUTOR.slice(end)}`;
}

interface Mistake {
  readonly name: string;
  /** The text that is replaced by the mistake. */
  readonly find: string;
  readonly plant: string;
  readonly line: number;
  readonly field: string;
  readonly says: string;
}

const MISTAKES: readonly Mistake[] = [
  {
    name: "unknown key",
    find: "timeLimitSec: 60",
    plant: "timeLimitSec: 60\ntimelimit: 3",
    line: 38,
    field: "timelimit",
    says: 'unknown field "timelimit"',
  },
  {
    name: "unknown key deep inside",
    find: "{ type: video }",
    plant: "{ type: video, kind: x }",
    line: 8,
    field: "inputs.video.kind",
    says: "unknown field",
  },
  {
    name: "type that does not parse",
    find: "audio: { type: audio }",
    plant: "audio: { type: 'list<list<audio>>' }",
    line: 10,
    field: "outputs.audio.type",
    says: "expected a name such as video or list<frame>",
  },
  {
    name: "default that is no value",
    find: "default: 16000",
    plant: "default: 44100",
    line: 15,
    field: "knobs.rate.default",
    says: "expected one of 8000, 16000",
  },
  {
    name: "hole of an unknown input",
    find: "${input.video}",
    plant: "${input.film}",
    line: 25,
    field: "engine.args.1",
    says: 'input "film" is not declared, expected one of video',
  },
  {
    name: "hole of an unknown knob inside a condition",
    find: "${knob.rate}",
    plant: "${knob.pace}",
    line: 27,
    field: "engine.args.3.args.1",
    says: 'knob "pace" is not declared',
  },
  {
    name: "hole without end",
    find: "${threads}",
    plant: "${threads",
    line: 29,
    field: "engine.args.5",
    says: "is no hole",
  },
  {
    name: "condition on an unknown knob",
    find: "when: isQuiet",
    plant: "when: quiet",
    line: 26,
    field: "engine.args.2.when",
    says: 'knob "quiet" is not declared',
  },
  {
    name: "condition on a value that the knob never has",
    find: "equals: 8000",
    plant: "equals: 9000",
    line: 27,
    field: "engine.args.3.equals",
    says: "expected one of 8000, 16000",
  },
  {
    name: "output that nothing makes",
    find: "audio: { type: audio }",
    plant: "audio: { type: audio }\n  notes: { type: text }",
    line: 11,
    field: "outputs.notes",
    says: 'nothing makes output "notes"',
  },
  {
    name: "unknown parser",
    find: "  files:",
    plant: "  parse: parse-nothing\n  files:",
    line: 33,
    field: "engine.parse",
    says: "expected one of parse-scenes",
  },
  {
    name: "program that is not in the list of programs",
    find: "programs: [ffmpeg]",
    plant: "programs: []",
    line: 22,
    field: "engine.program",
    says: 'program "ffmpeg" is not in "programs"',
  },
  {
    name: "program with a path",
    find: "program: ffmpeg",
    plant: "program: /usr/bin/ffmpeg",
    line: 22,
    field: "engine.program",
    says: "expected a program name without a path",
  },
  {
    name: "negative cores",
    find: "cores: 1",
    plant: "cores: -1",
    line: 36,
    field: "resources.cores",
    says: "-1: expected a number of cores, 0 or more",
  },
  {
    name: "several attempts of a command at a time",
    find: "memoryMib: 128",
    plant: "memoryMib: 128, concurrency: 4",
    line: 36,
    field: "resources.concurrency",
    says: "a command runs one attempt at a time per instance",
  },
  {
    name: "half an attempt at a time",
    find: "memoryMib: 128",
    plant: "memoryMib: 128, concurrency: 1.5",
    line: 36,
    field: "resources.concurrency",
    says: "expected a whole number of attempts, 1 to 256",
  },
  {
    name: "negative memory",
    find: "memoryMib: 128",
    plant: "memoryMib: -1",
    line: 36,
    field: "resources.memoryMib",
    says: "-1: expected a number of MiB above 0",
  },
  {
    name: "no provenance",
    find: "provenance: { kind: prior, note: rule of thumb }\n",
    plant: "",
    line: 1,
    field: "provenance",
    says: "missing: expected { kind, note }",
  },
  {
    name: "negative price",
    find: "perCoreHourUsd: 0.05",
    plant: "perCoreHourUsd: -0.05",
    line: 40,
    field: "price.perCoreHourUsd",
    says: "0 or more",
  },
  {
    name: "version that YAML reads as a number",
    find: '"1.0.0"',
    plant: "1.0",
    line: 2,
    field: "version",
    says: "expected a version in quotes",
  },
  {
    name: "key given twice",
    find: "kind: tool",
    plant: "kind: tool\nkind: model",
    line: 4,
    field: "",
    says: "not valid YAML",
  },
  {
    name: "file outside the scratch directory",
    find: "name: audio.wav",
    plant: "name: ../audio.wav",
    line: 34,
    field: "engine.files.audio.name",
    says: "no folders",
  },
];

describe("a planted mistake", () => {
  test.each(MISTAKES)("$name", ({ find, plant, line, field, says }) => {
    expect(SOUND_EXECUTOR).toContain(find);
    const dir = libraryFolder({ "cutter.yaml": SOUND_EXECUTOR.replace(find, () => plant) });
    const { executors, problems } = loadLibrary([dir], KNOWN);
    expect(executors).toEqual([]);
    const errors = problems.filter(({ severity }) => severity === "error");
    expect(errors.map(formatProblem)).toHaveLength(1);
    const [problem] = errors;
    expect(problem).toMatchObject({ file: join(dir, "cutter.yaml"), line, field });
    expect(problem?.message).toContain(says);
  });

  test.each([
    ["env", "CACHE: ${scratch}/cache", "API_KEY: hunter2hunter2", 32, "engine.env.API_KEY"],
    ["argument", "    - -threads", "    - --token=hunter2", 28, "engine.args.4"],
    [
      "URL",
      "description: Says less.",
      "description: see https://u:hunter2@x.y",
      17,
      "knobs.isQuiet.description",
    ],
  ])("secret in %s is refused and not repeated", (_where, find, plant, line, field) => {
    const dir = libraryFolder({ "cutter.yaml": SOUND_EXECUTOR.replace(find, () => plant) });
    const { executors, problems } = loadLibrary([dir], KNOWN);
    expect(executors).toEqual([]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ line, field });
    expect(problems.map(formatProblem).join()).not.toContain("hunter2");
  });

  test("a function may reserve no core and take several attempts at a time", () => {
    const text = functionExecutor().replace("cores: 1,", "cores: 0, concurrency: 64,");
    const { executors, problems } = loadLibrary([libraryFolder({ "cutter.yaml": text })]);
    expect(problems).toEqual([]);
    expect(executors[0]?.resources).toEqual({ cores: 0, memoryMib: 128, concurrency: 64 });
  });

  test("a program that reserves no core is warned of", () => {
    const text = SOUND_EXECUTOR.replace("cores: 1,", "cores: 0,");
    const { executors, problems } = loadLibrary([libraryFolder({ "cutter.yaml": text })], KNOWN);
    expect(executors).toHaveLength(1);
    expect(problems).toMatchObject([{ line: 36, field: "resources.cores", severity: "warning" }]);
  });

  test("unknown function", () => {
    const dir = libraryFolder({ "cutter.yaml": functionExecutor() });
    const { problems } = loadLibrary([dir], KNOWN);
    expect(problems).toMatchObject([{ line: 20, field: "engine.function", severity: "error" }]);
    expect(loadLibrary([dir]).problems).toEqual([]);
  });

  test("an alias is refused, so that a small file cannot stand for a large value", () => {
    const text = SOUND_EXECUTOR.replace("[audio, sound]", "&k [audio]\nprograms: *k").replace(
      "programs: [ffmpeg]\n",
      "",
    );
    const dir = libraryFolder({ "cutter.yaml": text });
    expect(loadLibrary([dir]).problems).toMatchObject([{ line: 7, field: "" }]);
  });
});

describe("executors beside one another", () => {
  test("the second file with an id is told and left out", () => {
    const dir = libraryFolder({ "a.yaml": SOUND_EXECUTOR, "b.yaml": SOUND_EXECUTOR });
    const { executors, problems } = loadLibrary([dir]);
    expect(executors).toHaveLength(1);
    expect(problems).toMatchObject([{ file: join(dir, "b.yaml"), line: 1, field: "id" }]);
    expect(problems[0]?.message).toContain(join(dir, "a.yaml"));
  });

  test("executors of one capability have one interface", () => {
    const other = SOUND_EXECUTOR.replace("id: cutter", "id: slicer").replace(
      "video: { type: video }",
      "video: { type: video }\n  from: { type: time }",
    );
    const dir = libraryFolder({ "a.yaml": SOUND_EXECUTOR, "b.yaml": other });
    const { executors, problems } = loadLibrary([dir]);
    expect(executors.map(({ id }) => id)).toEqual(["cutter"]);
    expect(problems).toMatchObject([{ file: join(dir, "b.yaml"), line: 7, field: "inputs" }]);
    expect(problems[0]?.message).toContain("expected { video: video }");
  });

  test("a folder that is not there is a problem, not a crash", () => {
    const { problems } = loadLibrary(["/nowhere/at/all"]);
    expect(problems).toMatchObject([{ file: "/nowhere/at/all", line: 1, severity: "error" }]);
  });
});
