/**
 * Goal: on real processes, `murakkab profile` runs an executor and reports it, feedback is counted
 * and refused with reasons, and profiles go out into a file and back in.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RealCluster } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PLAIN } from "../../packages/cli/src/render/paint.ts";
import { runCommand } from "../../packages/cli/src/run-command.ts";

const LIBRARY = fileURLToPath(new URL("library", import.meta.url));

let cluster: RealCluster;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "murakkab-profile-"));
  await writeFile(join(dir, "lines.txt"), "b\na\nc\n");
  cluster = await RealCluster.start({
    agents: [{ node: "n1", cpus: 1, args: ["--input-root", dir] }],
    libraries: [LIBRARY],
  });
});

afterAll(async () => {
  await cluster.stop();
  await rm(dir, { recursive: true, force: true });
});

async function murakkab(args: readonly string[], signal = new AbortController().signal) {
  const out = { stdout: "", stderr: "" };
  const exitCode = await runCommand(
    {
      stdout: { write: (text) => (out.stdout += text) },
      stderr: { write: (text) => (out.stderr += text) },
      env: { HOME: dir, NATS_URL: cluster.server.url },
      ...{ cwd: dir, signal, paint: PLAIN, paintErr: PLAIN },
    },
    args,
  );
  return { exitCode, ...out };
}

test("an executor is run until its time is known, and reported with units", async () => {
  const args = ["profile", "sort-lines", "--input", "lines.txt", "--budget", "4s"];
  const { exitCode, stdout, stderr } = await murakkab([...args, "--json"]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const report = JSON.parse(stdout) as { settings: { runs: number; cpuSec: number }[] };
  expect(report).toMatchObject({ target: "sort-lines", kind: "executor" });
  expect(report.settings[0]?.runs).toBeGreaterThan(1);
  expect(report.settings[0]?.cpuSec).toBeGreaterThan(0);
  const table = await murakkab(args);
  expect(table.stdout).toMatch(/setting +runs +result +time +CPU s +cost +energy +fit error/);
  const unknown = await murakkab(["profile", "sort-lions", "--input", "lines.txt"]);
  expect(unknown).toMatchObject({ exitCode: 1 });
  expect(unknown.stderr).toMatch(/no executor and no workflow of the cluster, expected one of/);
});

test("an interrupt cancels the job that runs and reports what was learnt", async () => {
  const controller = new AbortController();
  const running = murakkab(
    ["profile", "hanging", "--input", "lines.txt", "--budget", "60s", "--json"],
    controller.signal,
  );
  let jobs: { jobId: string; state: string; workflow: string | null }[] = [];
  const isRunning = (): boolean =>
    jobs.some((it) => it.workflow === "profile-hanging" && it.state === "running");
  while (!isRunning()) {
    jobs = (JSON.parse((await murakkab(["jobs", "--json"])).stdout) as { jobs: typeof jobs }).jobs;
  }
  controller.abort(new Error("Ctrl-C"));
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(130);
  expect(JSON.parse(stdout)).toMatchObject({ end: "interrupted", runs: 0 });
  const jobId = jobs.find((it) => it.workflow === "profile-hanging")?.jobId ?? "";
  const job = JSON.parse((await murakkab(["job", jobId, "--json"])).stdout) as { state: string };
  expect(job.state).toBe("cancelled");
});

test("feedback is counted once; profiles go out into a file and in again", async () => {
  const submitted = await murakkab(["submit", "line sorting", "--input", "lines.txt", "--json"]);
  const { jobId } = JSON.parse(submitted.stdout) as { jobId: string };
  expect(await murakkab(["feedback", jobId, "--score", "0.9"])).toMatchObject({ exitCode: 0 });
  const again = await murakkab(["feedback", jobId, "--score", "0.4"]);
  expect(again.stdout).toContain("in place of the earlier one");
  const other = await murakkab(["feedback", jobId, "--score", "1", "--tenant", "acme"]);
  expect(other).toMatchObject({ exitCode: 1 });
  expect(other.stderr).toContain("belongs to another tenant");

  const out = await murakkab(["profiles", "export", "--out", "p.yaml"]);
  expect(out.stdout).toMatch(/p\.yaml: \d+ executor profiles, \d+ configurations/);
  const text = await readFile(join(dir, "p.yaml"), "utf8");
  expect(text).toContain("any: { scoreSum: 0.4, count: 1 }");
  expect((await murakkab(["profiles", "diff", "p.yaml"])).stdout).toBe("no differences\n");
  await writeFile(
    join(dir, "q.yaml"),
    text.replace("scoreSum: 0.4, count: 1", "scoreSum: 3, count: 4"),
  );
  expect(await murakkab(["profiles", "import", "q.yaml"])).toMatchObject({ exitCode: 0 });
  const diff = await murakkab(["profiles", "diff", "p.yaml"]);
  expect(diff.stdout).toContain("feedback.any.count: 1 -> 4");
  await writeFile(join(dir, "bad.yaml"), text.replace("scoreSum: 0.4", "scoreSum: .nan"));
  const bad = await murakkab(["profiles", "import", "bad.yaml"]);
  expect(bad.stderr).toMatch(/bad\.yaml:\d+ workflows\.0.*scoreSum: NaN/);
  expect((await murakkab(["profiles", "show", "nobody"])).stderr).toContain(
    'nothing is known of "nobody"',
  );
});
