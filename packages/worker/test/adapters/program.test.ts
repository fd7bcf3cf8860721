/**
 * Goal: a program's end is always told apart, and nothing of it is left.
 * Method: real small programs, no shell; each test also checks that the ledger is empty after it.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CancelledError, type RuntimeError } from "@murakkab/kit";
import { describe, expect, test } from "vitest";
import { readStartTicks } from "../../src/adapters/process-tree.ts";
import { groupMembers, programFixture, until } from "./program-fixture.ts";

async function failureOf(run: Promise<unknown>): Promise<RuntimeError> {
  return run.then(
    () => expect.fail("the program should have failed"),
    (error: unknown) => error as RuntimeError,
  );
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

describe("a program that ends well", () => {
  test("gives its output", async () => {
    const { runNode } = programFixture();
    const result = await runNode("console.log('out'); console.error('err')");
    expect(text(result.stdout)).toBe("out\n");
    expect(result.stderr).toBe("err\n");
    expect(result.exitCode).toBe(0);
  });

  test("gets its arguments as they are", async () => {
    const { run } = programFixture();
    const args = ["a b", "$HOME", "; ls", "`x`", "", "ü"];
    const result = await run("printf", ["%s|", ...args]);
    expect(text(result.stdout)).toBe(`${args.join("|")}|`);
  });

  test("reads its input, and may leave it unread", async () => {
    const { run } = programFixture();
    const stdin = Buffer.alloc(1_000_000, "x");
    const echoed = await run("cat", [], { stdin });
    expect(echoed.stdout.length).toBe(stdin.length);
    expect((await run("true", [], { stdin })).exitCode).toBe(0);
  });

  test("inherits PATH and nothing secret, and knows its instance", async () => {
    const { run, dir } = programFixture({ NATS_URL: "nats://u:p@h", API_TOKEN: "t", LANG: "C" });
    const { stdout } = await run("env", [], { env: { OMP_THREAD_LIMIT: "1" } });
    const variables = Object.fromEntries(
      text(stdout)
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    );
    expect(variables).toEqual({
      PATH: process.env["PATH"],
      LANG: "C",
      TMPDIR: dir,
      MURAKKAB_INSTANCE: "i-1",
      OMP_THREAD_LIMIT: "1",
    });
  });

  test("may end with another exit code that the caller expects", async () => {
    const { runNode } = programFixture();
    const result = await runNode("process.exit(3)", { okExitCodes: [0, 3] });
    expect(result.exitCode).toBe(3);
  });

  test("is written to the ledger at once and leaves none of its children behind", async () => {
    const { runNode, ledger, dir } = programFixture();
    const code =
      "const c = require('child_process').spawn('sleep', ['1000'], { stdio: 'inherit' }); c.unref()";
    const running = runNode(code);
    const [pgid = 0] = ledger.active;
    const startTicks = readStartTicks(pgid);
    expect(readFileSync(join(dir, "pgids"), "utf8")).toBe(`${pgid} ${startTicks}\n`);
    await running;
    await until(() => groupMembers(pgid).length === 0);
  });
});

describe("a program that ends badly", () => {
  test("by its exit code: terminal, with redacted last lines of stderr", async () => {
    const { runNode } = programFixture();
    const code =
      "for (let i = 0; i < 5000; i++) console.error('line ' + i); console.error('GET https://u:hunter2@h/ token=hunter2'); process.exitCode = 2";
    const failure = await failureOf(runNode(code));
    expect(failure).toMatchObject({ code: "ENGINE_FAILED", kind: "terminal" });
    expect(failure.message).toContain("ended with exit code 2, expected 0");
    expect(failure.detail).toMatch(
      /^line 4981\n[\s\S]*line 4999\nGET https:\/\/\*\*\*@h\/ token=\*\*\*$/,
    );
  });

  test("by a signal: retryable", async () => {
    const { runNode } = programFixture();
    const failure = await failureOf(runNode("process.kill(process.pid, 'SIGSEGV')"));
    expect(failure).toMatchObject({ code: "ENGINE_CRASHED", kind: "retryable" });
    expect(failure.message).toContain("SIGSEGV");
  });

  test("on a full disk: retryable", async () => {
    const { run } = programFixture();
    const failure = await failureOf(run("dd", ["if=/dev/zero", "of=/dev/full", "count=1"]));
    expect(failure).toMatchObject({ code: "DISK_FULL", kind: "retryable" });
  });

  test("that is not there: retryable, another node may have it", async () => {
    const { run } = programFixture();
    const failure = await failureOf(run("no-such-program-here", []));
    expect(failure).toMatchObject({ code: "PROGRAM_MISSING", kind: "retryable" });
    expect(failure.message).toContain('"no-such-program-here"');
  });

  test("whose argument holds a zero byte: terminal", async () => {
    const { run } = programFixture();
    const failure = await failureOf(run("printf", ["a\0b"]));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", kind: "terminal" });
  });
});

describe("a program that does not end", () => {
  test("is ended at its time limit with its whole group", async () => {
    const { run, ledger } = programFixture();
    const running = failureOf(
      run("xargs", ["sleep"], { stdin: Buffer.from("1000\n"), timeLimitMs: 1_000 }),
    );
    const [pgid = 0] = ledger.active;
    await until(() => groupMembers(pgid).length === 2);
    expect(await running).toMatchObject({ code: "ENGINE_TIMEOUT", kind: "terminal" });
    await until(() => groupMembers(pgid).length === 0);
  });

  test("is ended when the caller cancels, also when it ignores SIGTERM", async () => {
    const { runNode, ledger, controller, dir } = programFixture();
    const code =
      "process.on('SIGTERM', () => {}); require('fs').writeFileSync('up', ''); setInterval(() => {}, 1e6)";
    const running = failureOf(runNode(code));
    const [pgid = 0] = ledger.active;
    await until(() => existsSync(join(dir, "up")));
    const reason = new CancelledError("job was cancelled");
    controller.abort(reason);
    expect(await running).toBe(reason);
    await until(() => groupMembers(pgid).length === 0);
  });

  test("is not even started once the caller has cancelled", async () => {
    const { run, ledger, controller } = programFixture();
    const reason = new CancelledError("job was cancelled");
    controller.abort(reason);
    expect(await failureOf(run("sleep", ["1000"]))).toBe(reason);
    expect(ledger.active).toEqual([]);
  });

  test("is ended when it floods stdout", async () => {
    const { run } = programFixture();
    const failure = await failureOf(run("yes", [], { stdoutLimitBytes: 100_000 }));
    expect(failure).toMatchObject({ code: "OUTPUT_LIMIT", kind: "terminal" });
  });

  test("does not hold the caller by a stranger that keeps its pipes", async () => {
    const { runNode, dir } = programFixture();
    const code = `const c = require('child_process').spawn('sleep', ['1000'], { stdio: 'inherit', detached: true });
      require('fs').writeFileSync('stranger', String(c.pid)); c.unref()`;
    expect((await runNode(code)).exitCode).toBe(0);
    process.kill(Number(readFileSync(join(dir, "stranger"), "utf8")), "SIGKILL");
  });

  test("is ended by killAll", async () => {
    const { run, runner, ledger } = programFixture();
    const running = failureOf(run("sleep", ["1000"]));
    const [pgid = 0] = ledger.active;
    runner.killAll();
    expect(await running).toMatchObject({ code: "ENGINE_CRASHED" });
    expect(groupMembers(pgid)).toEqual([]);
  });
});
