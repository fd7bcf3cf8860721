/** A FunctionCall without a worker: artifacts are files, programs run for real. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineFailedError } from "@murakkab/kit";
import type { ArtifactRef, KnobValues } from "@murakkab/model";
import type { FunctionCall, RunOptions, RunResult } from "../../src/function-executor.ts";

const paths = new Map<string, string>();

export function refTo(path: string, mediaType: string): ArtifactRef {
  const bytes = readFileSync(path);
  const artifact = `artifact://sha256/${createHash("sha256").update(bytes).digest("hex")}`;
  paths.set(artifact, path);
  return { artifact, bytes: bytes.length, mediaType };
}

export function fakeCall(
  inputs: Readonly<Record<string, unknown>>,
  knobs: KnobValues,
): FunctionCall {
  return {
    inputs,
    knobs,
    threads: 1,
    scratchDir: mkdtempSync(join(tmpdir(), "video-qa-")),
    signal: new AbortController().signal,
    openArtifact: async (ref) => paths.get(ref.artifact) ?? "",
    run: runProgram,
  };
}

export function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const settings = {
      encoding: "buffer" as const,
      timeout: 30_000,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...process.env, ...options.env },
    };
    const child = execFile(program, [...args], settings, (err, stdout, stderr) => {
      const text = stderr.toString("utf8");
      if (err === null) resolve({ stdout, stderr: text, exitCode: 0 });
      else reject(new EngineFailedError(`${program} failed`, { detail: text, cause: err }));
    });
    child.stdin?.end(options.stdin);
  });
}
