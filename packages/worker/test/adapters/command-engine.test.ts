/** Goal: holes become single arguments, files and parsers become outputs. Method: `printf`, `cp`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineFailedError } from "@murakkab/kit";
import type { OutputParser } from "@murakkab/library";
import type { CommandEngine, ExecutorEntry } from "@murakkab/model";
import { describe, expect, test } from "vitest";
import { CommandLineEngine } from "../../src/adapters/command-engine.ts";
import { artifactRef, executorEntry } from "../entries.ts";
import { programFixture, tempDir } from "./program-fixture.ts";

const parsers: Record<string, OutputParser> = {
  words: ({ stdout }) => ({ words: stdout.split("\n").slice(0, -1) }),
  broken: () => {
    throw new EngineFailedError("no words were found, expected at least one");
  },
};

function fixture(spec: Partial<CommandEngine>, entry: Partial<ExecutorEntry> = {}) {
  const { runner, controller } = programFixture();
  const engine: CommandEngine = { kind: "command", program: "printf", args: [], ...spec };
  const full = executorEntry({ programs: [engine.program], engine, ...entry });
  const commandEngine = new CommandLineEngine({ programs: runner, parsers }, full, engine);
  const scratchDir = tempDir();
  const run = (
    inputs: Record<string, unknown>,
    knobs: Record<string, string | number | boolean> = {},
  ) =>
    commandEngine.run({
      inputs,
      knobs,
      threads: 3,
      scratchDir,
      signal: controller.signal,
      openArtifact: async ({ artifact }) => `/store/${artifact.slice(-2)}`,
    });
  return { run, scratchDir };
}

describe("holes", () => {
  test("are filled into single arguments", async () => {
    const { run, scratchDir } = fixture({
      args: [
        "%s\\n",
        "${input.question}",
        "t=${threads}",
        "${scratch}/x",
        "${knob.size}px",
        "${input.video}",
        "${input.frame}",
      ],
      parse: "words",
    });
    const frame = { atSec: 3, image: artifactRef("bb") };
    const question = 'what\'s this; $HOME "?" `ls`';
    const outputs = await run({ question, video: artifactRef("aa"), frame }, { size: 8 });
    expect(outputs).toEqual({
      words: [question, "t=3", `${scratchDir}/x`, "8px", "/store/aa", "/store/bb"],
    });
  });

  test("in a conditional group appear with their knob", async () => {
    const { run } = fixture({
      args: [
        "%s\\n",
        "a",
        { when: "isQuiet", args: ["-q"] },
        { when: "mode", equals: "fast", args: ["--mode", "${knob.mode}"] },
      ],
      parse: "words",
    });
    expect(await run({}, { isQuiet: true, mode: "fast" })).toEqual({
      words: ["a", "-q", "--mode", "fast"],
    });
    expect(await run({}, { isQuiet: false, mode: "slow" })).toEqual({ words: ["a"] });
  });

  test("in the environment are filled too", async () => {
    const { run } = fixture({ program: "env", env: { THREADS: "${threads}" }, parse: "words" });
    const { words } = await run({});
    expect(words).toContain("THREADS=3");
  });

  test("do not let a user's text become an option", async () => {
    const { run } = fixture({ args: ["%s", "${input.question}"], parse: "words" });
    await expect(run({ question: "--help" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      field: "inputs.question",
    });
  });

  test("do not take lists", async () => {
    const { run } = fixture({ args: ["${input.frames}"], parse: "words" });
    await expect(run({ frames: [artifactRef("aa")] })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("outputs", () => {
  test("are the files that the program wrote", async () => {
    const source = join(tempDir(), "in.txt");
    writeFileSync(source, "hello");
    const { run, scratchDir } = fixture({
      program: "cp",
      args: [source, "${output.copy}"],
      files: { copy: { name: "copy.txt", mediaType: "text/plain" } },
    });
    expect(await run({})).toEqual({
      copy: { outputFile: join(scratchDir, "copy.txt"), mediaType: "text/plain" },
    });
  });

  test("fail with the parser's error", async () => {
    const { run } = fixture({ args: ["x"], parse: "broken" });
    await expect(run({})).rejects.toThrow("no words were found");
  });

  test("of an unknown parser are refused before anything runs", () => {
    expect(() => fixture({ parse: "nothing" })).toThrow(
      'parser "nothing" is not known, expected one of words, broken',
    );
  });
});
