/** The command line without a cluster: flags to requests, mistakes to sentences and exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SchedulerView } from "@murakkab/sdk";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDataDir } from "../src/cluster/data-dir.ts";
import { readableLine } from "../src/cluster/readable-line.ts";
import { shareHost } from "../src/cluster/share-host.ts";
import { toJobRequest } from "../src/commands/job-options.ts";
import { renderSchedulers } from "../src/commands/schedulers.ts";
import type { Context } from "../src/context.ts";
import { Interrupted } from "../src/context.ts";
import { checkClocks, checkNode, checkSchedulers } from "../src/doctor/checks.ts";
import { PLAIN } from "../src/render/paint.ts";
import { runCommand } from "../src/run-command.ts";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "cli-test-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function murakkab(args: readonly string[], signal = new AbortController().signal) {
  const out = { stdout: "", stderr: "" };
  const context: Context = {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    // An address at which nobody listens: no test may find a real cluster.
    env: { HOME: dir, NATS_URL: "nats://127.0.0.1:1" },
    cwd: dir,
    signal,
    paint: PLAIN,
    paintErr: PLAIN,
  };
  return { exitCode: await runCommand(context, args), ...out };
}

describe("flags", () => {
  test("all of submit's flags reach the request", async () => {
    writeFileSync(join(dir, "talk.mp4"), "video");
    const request = await toJobRequest(
      "what is said?",
      {
        input: ["talk.mp4", "https://example.org/x.mp4"],
        slo: ["cost<$2,latency<30s", "energy<1Wh"],
        objective: "energy",
        executor: ["speech-to-text=whisper"],
        knob: ["whisper.beam=5", "tess.v4.mode=fast", "whisper.vad=true", 'whisper.lang="1"'],
        label: ["zone=a"],
        onHost: true,
        tenant: "acme",
        deadline: "2min",
        id: "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a01",
        idempotencyKey: "k",
      },
      dir,
    );
    expect(request).toEqual({
      description: "what is said?",
      inputs: [join(dir, "talk.mp4"), "https://example.org/x.mp4"],
      slo: "cost<$2,latency<30s,energy<1Wh",
      objective: "energy",
      constraints: {
        executors: { "speech-to-text": "whisper" },
        knobs: { whisper: { beam: 5, vad: true, lang: "1" }, "tess.v4": { mode: "fast" } },
        labels: { zone: "a" },
        staysOnHost: true,
      },
      tenant: "acme",
      deadlineMs: 120_000,
      jobId: "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a01",
      idempotencyKey: "k",
    });
  });

  test("a workflow file is read, a name is passed on", async () => {
    const yaml =
      "name: w\ninputs: { v: video }\nsteps: [{ id: s, capability: c, inputs: { v: input.v } }]\noutput: s.o\n";
    writeFileSync(join(dir, "w.yaml"), yaml);
    expect((await toJobRequest(undefined, { workflow: "w.yaml" }, dir)).workflow).toMatchObject({
      name: "w",
    });
    expect((await toJobRequest(undefined, { workflow: "video-qa" }, dir)).workflow).toBe(
      "video-qa",
    );
  });
});

describe("mistakes", () => {
  test.each([
    [["submti"], "unknown command 'submti'\n(Did you mean submit?)"],
    [["submit", "q", "--inptu", "x"], "(Did you mean --input?)"],
    [["submit"], "the description is missing"],
    [["submit", "--input", "x.mp4", "what is said?"], '"what is said?" was taken for a file'],
    [["submit", " "], "the description is empty"],
    [["submit", "q", "--slo", "cost<2apples"], 'slo term "cost<2apples" at character 7'],
    [["submit", "q", "--slo", "cost<$1", "--slo", "cost<$2"], "there is one already"],
    [["submit", "q", "--slo", "latency<30"], "  | latency<30\n  |           ^\n"],
    [["submit", "q", "--slo", "€", "--slo", "cost<$1"], "  | €,cost<$1\n  | ^\n"],
    [["plan", "q", "--slo", `cost<$1,${"x".repeat(90)}`], "  |         ^\n"],
    [["submit", "q", "--objective", "fun"], "cost, energy, latency, quality, resources"],
    [
      ["submit", "q", "--accept-offer", "time"],
      '--accept-offer is "time", expected one of latency',
    ],
    [
      ["plan", "q", "--html", "no/such/page.html"],
      '--html is "no/such/page.html", but there is no',
    ],
    [["explain", "7", "--svg", "no/x.svg"], '--svg is "no/x.svg", but there is no directory'],
    [["submit", "q", "--deadline", "60"], '--deadline is "60", expected a time with a unit'],
    [["submit", "q", "--knob", "beam=5"], "expected the form executor.knob=value"],
    [["submit", "q", "--label", "zone"], "expected the form name=value"],
    [["submit", "q", "--id", "7"], '--id is "7", expected a UUID'],
    [["submit", "q", "--input", "none.mp4"], "none.mp4 does not exist, expected a media file"],
    [["up", "--agents", "0"], '--agents is "0", expected a whole number from 1 to 64'],
    [["jobs", "--nats", "http://x"], 'nats "http://x" is not valid'],
    [[], "Usage: murakkab"],
  ])("%j exits with 2 and says what was expected", async (args, expected) => {
    const { exitCode, stdout, stderr } = await murakkab(args);
    expect(stderr).toContain(expected);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });

  test("no bus: one sentence, exit code 1, and nothing on stdout even with --json", async () => {
    const { exitCode, stdout, stderr } = await murakkab(["nodes", "--json"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toMatch(/^murakkab: .*127\.0\.0\.1:1.*\n$/);
  });

  test("an interrupt exits with 130, an end by SIGTERM with 143", async () => {
    for (const [name, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const abort = new AbortController();
      abort.abort(new Interrupted(name));
      expect((await murakkab(["nodes"], abort.signal)).exitCode).toBe(code);
    }
  });

  test("help goes to stdout and is no failure", async () => {
    const { exitCode, stdout } = await murakkab(["submit", "--help"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("--slo <bounds>");
  });
});

describe("a cluster on this host", () => {
  const host = (cores: number) => ({ cores, memoryBytes: 8 * 1024 ** 3 });

  test("agents divide the cores and never get more than there are", () => {
    expect(shareHost(host(2), 2).map(({ cpus }) => cpus)).toEqual([1, 1]);
    expect(shareHost(host(8), 3).map(({ cpus }) => cpus)).toEqual([3, 3, 2]);
    expect(shareHost(host(2), 3).map(({ cpus }) => cpus)).toEqual([0.66, 0.66, 0.66]);
    for (const count of [1, 2, 5, 64]) {
      const shares = shareHost(host(6), count);
      expect(shares.reduce((sum, { cpus }) => sum + cpus, 0)).toBeLessThanOrEqual(6);
      const memoryMib = shares.reduce((sum, share) => sum + share.memoryMib, 0);
      expect(memoryMib).toBeLessThanOrEqual(8 * 1024);
    }
  });

  test("D1, D2: the token is for the owner only, and a named directory stays", () => {
    const named = openDataDir(join(dir, "data"));
    named.remove();
    const again = openDataDir(join(dir, "data"));
    expect(again.tokenFile).toBe(named.tokenFile);
    const temporary = openDataDir(undefined);
    temporary.remove();
    expect(() => temporary.logFile("x")).not.toThrow();
    temporary.remove();
  });

  test("log lines are readable when a process dies", () => {
    const line = '{"level":50,"msg":"bus lost","err":{"message":"refused"}}';
    expect(readableLine(line)).toBe("error bus lost (refused)");
    expect(readableLine("plain\u0007 text")).toBe("plain text");
  });
});

test("doctor judges versions and clocks", () => {
  expect(checkNode("v20.19.0").verdict).toBe("good");
  expect(checkNode("v18.20.1").text).toContain("expected 20.19 or later");
  const nowMs = Date.parse("2026-05-01T12:00:00Z");
  const sample = { node: "n1", sampledAt: "2026-05-01T11:59:59Z", sampleAgeMs: 900 };
  expect(checkClocks([sample], nowMs).verdict).toBe("good");
  expect(checkClocks([{ ...sample, sampledAt: "2026-05-01T12:01:00Z" }], nowMs).text).toContain(
    "n1 is off by 60900 ms",
  );
});

describe("schedulers", () => {
  const view = {
    scheduler: "scheduler-1",
    version: "0.1.0",
    isLeader: true,
    generation: 3,
    ownedPartitionCount: 256,
    isLeaving: false,
  };

  test("doctor wants a leader, and an owner for every job", () => {
    const verdictOf = (schedulers: readonly SchedulerView[], leader: string | null) =>
      checkSchedulers({ schedulers, leader }).verdict;
    expect(verdictOf([view], "scheduler-1")).toBe("good");
    expect(verdictOf([view], null)).toBe("bad");
    expect(verdictOf([{ ...view, ownedPartitionCount: 200 }], "scheduler-1")).toBe("poor");
    // A scheduler of an earlier version tells nothing of itself.
    expect(verdictOf([], "scheduler-1")).toBe("good");
  });

  test("are listed with role and share", () => {
    const other = { ...view, scheduler: "scheduler-2", isLeader: false, isLeaving: true };
    const stdout = { write: () => undefined };
    const list = { schedulers: [view, other], leader: "scheduler-1" };
    expect(renderSchedulers(list, { stdout, paint: PLAIN })).toEqual([
      "scheduler    role     partitions  generation  version",
      "scheduler-1  leader          256           3  0.1.0",
      "scheduler-2  leaving         256           3  0.1.0",
    ]);
    const nobody = { schedulers: [], leader: null };
    expect(renderSchedulers(nobody, { stdout, paint: PLAIN })).toEqual(["nobody leads"]);
  });

  test("up takes as many as a host can bear", async () => {
    const refused = await murakkab(["up", "--schedulers", "9"]);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("schedulers");
  });
});

describe("profiling and feedback", () => {
  test.each([
    ["2", /expected a number from 0 \(wrong\) to 1 \(right\)/],
    ["-0.5", /expected a number from 0/],
    ["good", /--score is "good"/],
    ["", /--score is ""/],
  ])("--score %s is refused before anybody is asked", async (score, message) => {
    const { exitCode, stderr } = await murakkab(["feedback", "j1", `--score=${score}`]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });

  test("missing files and wrong labels are told with their place", async () => {
    const missing = await murakkab(["profile", "video-qa", "--dataset", "none.yaml"]);
    expect(missing).toMatchObject({ exitCode: 1 });
    expect(missing.stderr).toMatch(/dataset .*none\.yaml cannot be read/);
    writeFileSync(join(dir, "set.yaml"), "video: clip.mp4\nquestions:\n  - { question: Who? }\n");
    const wrong = await murakkab(["profile", "video-qa", "--dataset", "set.yaml"]);
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toMatch(/set\.yaml:3 questions\.0/);
    const input = await murakkab(["profile", "video-qa", "--input", "none.mp4"]);
    expect(input.stderr).toMatch(/input .*none\.mp4 is not there/);
    const budget = await murakkab(["profile", "video-qa", "--budget", "5"]);
    expect(budget.stderr).toMatch(/--budget is "5", expected a time with a unit/);
  });

  test("a profile file that is wrong is refused with line and field; two files are compared", async () => {
    const text = (fixedMs: string) => `executors:
  - executor: ocr
    version: "1"
    nodeKind: any
    runMs: { fixedMs: ${fixedMs}, perUnitMs: 1, spread: 0.2 }
    cpuSec: { fixedSec: 1, perUnitSec: 1, spread: 0.2 }
    provenance: { kind: prior, note: test }
`;
    writeFileSync(join(dir, "a.yaml"), text("1"));
    writeFileSync(join(dir, "b.yaml"), text("2"));
    writeFileSync(join(dir, "bad.yaml"), text(".nan"));
    const bad = await murakkab(["profiles", "import", "bad.yaml"]);
    expect(bad.exitCode).toBe(2);
    expect(bad.stderr).toMatch(/bad\.yaml:5 executors\.0\.runMs\.fixedMs: NaN/);
    const differs = await murakkab(["profiles", "diff", "a.yaml", "b.yaml"]);
    expect(differs).toMatchObject({ exitCode: 1 });
    expect(differs.stdout).toContain("runMs.fixed: 1 -> 2");
    const same = await murakkab(["profiles", "diff", "a.yaml", "a.yaml"]);
    expect(same).toMatchObject({ exitCode: 0, stdout: "no differences\n" });
  });
});
