/** The client against a scheduler that speaks the real subjects. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Client, connect, JobNotSucceededError, run } from "../src/index.ts";
import { FakeScheduler, receiptOf } from "./fake-scheduler.ts";

const HASH = "a".repeat(64);

let scheduler: FakeScheduler;
let client: Client;
let dir: string;

beforeEach(async () => {
  scheduler = new FakeScheduler();
  client = await connect({ bus: scheduler.bus });
  dir = await mkdtemp(join(tmpdir(), "sdk-test-"));
});

afterEach(async () => {
  scheduler.close();
  await rm(dir, { recursive: true, force: true });
});

describe("submit", () => {
  test("the events of a job reach back to its first, though it began before they were asked for", async () => {
    const job = await client.submit({ description: "what is said?" });
    scheduler.append(job.jobId, "accepted");
    scheduler.append(job.jobId, "succeeded");
    scheduler.receipts.set(job.jobId, receiptOf(job.jobId));
    const names: string[] = [];
    for await (const event of job.events()) names.push(event.event);
    expect(names).toEqual(["accepted", "succeeded"]);
    expect((await job.result()).answer).toBe("Anna");
  });

  test("a submission that failed retryably is repeated with the same job id", async () => {
    scheduler.lostSubmitCount = 1;
    const job = await client.submit({ description: "what is said?" });
    expect(scheduler.submissions.map(({ jobId }) => jobId)).toEqual([job.jobId, job.jobId]);
  });

  test("mistakes are told before anything is sent", async () => {
    const wrong = client.submit({ description: "q", slo: "cost<2apples" });
    await expect(wrong).rejects.toThrow(/slo term "cost<2apples" at character 7/);
    await expect(client.submit({})).rejects.toThrow(/description and workflow/);
    await expect(client.submit({ description: "q", jobId: "7" })).rejects.toThrow(
      /expected a UUID/,
    );
    expect(scheduler.submissions).toEqual([]);
  });

  test("the SLO, constraints and objective arrive as they were given", async () => {
    const given = {
      description: "q",
      slo: { cost: "<$2", latency: "<30s" },
      objective: "energy" as const,
      constraints: { executors: { "speech-to-text": "whisper" }, labels: { zone: "a" } },
    };
    await client.submit(given);
    expect(scheduler.submissions[0]).toMatchObject(given);
  });

  test("without a scheduler the message says what to start", async () => {
    scheduler.close();
    const lost = client.submit({ description: "q" });
    await expect(lost).rejects.toThrow(/no scheduler answers .* start it with "murakkab up"/);
  });
});

describe("run", () => {
  test("a job that fails throws with its receipt", async () => {
    const jobId = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a02";
    const error = { code: "ENGINE_FAILED", message: "ffmpeg: exit code 1", step: "scenes" };
    scheduler.receipts.set(jobId, receiptOf(jobId, { state: "failed", answer: null, error }));
    const failed = await run("q", [], { bus: scheduler.bus, jobId }).catch((e: unknown) => e);
    expect(failed).toBeInstanceOf(JobNotSucceededError);
    expect(failed).toMatchObject({ code: "ENGINE_FAILED", receipt: { state: "failed" } });
    expect((failed as Error).message).toContain("failed at step scenes: ffmpeg: exit code 1");
  });

  test("an abort cancels the job", async () => {
    const jobId = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a03";
    const abort = new AbortController();
    // The fake answers "running" at once, so that the wait goes round until it is aborted.
    const cancelled = run("q", [], { bus: scheduler.bus, jobId, signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 20);
    await expect(cancelled).rejects.toThrow(/enough|cancelled|aborted/);
    expect(scheduler.cancelled).toEqual([jobId]);
  });
});

describe("inputs", () => {
  let server: Server;
  let received: { path: string | undefined; headers: IncomingHttpHeaders; bytes: number }[];
  let status: number;
  let answer: unknown;

  beforeEach(async () => {
    received = [];
    status = 200;
    answer = { artifact: `artifact://sha256/${HASH}`, bytes: 5, mediaType: "video/mp4" };
    server = createServer((request, response) => {
      let bytes = 0;
      request.on("data", (piece: Buffer) => (bytes += piece.length));
      request.on("end", () => {
        received.push({ path: request.url, headers: request.headers, bytes });
        response.writeHead(status).end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/artifacts`;
    scheduler.uploadTarget = { node: "node-1", url, ticket: "secret-ticket" };
  });

  afterEach(() => new Promise((resolve) => server.close(resolve)));

  test("a local file is uploaded once, references and addresses pass", async () => {
    const file = join(dir, "talk.mp4");
    await writeFile(file, "video");
    const reference = `artifact://sha256/${"b".repeat(64)}`;
    const inputs = [file, reference, "https://example.org/x.mp4", file];
    await client.submit({ description: "q", inputs });
    const uploaded = `artifact://sha256/${HASH}`;
    expect(scheduler.submissions[0]?.inputs).toEqual([
      uploaded,
      reference,
      "https://example.org/x.mp4",
      uploaded,
    ]);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({
      path: "/artifacts?name=talk.mp4",
      bytes: 5,
      headers: { authorization: "Bearer secret-ticket", "content-length": "5" },
    });
  });

  test.each([
    ["missing.mp4", null, "does not exist"],
    ["empty.mp4", "", "is empty"],
    [".", null, "is a directory"],
  ])("%s is refused by name before anything is uploaded", async (name, content, reason) => {
    const good = join(dir, "good.mp4");
    await writeFile(good, "video");
    const bad = join(dir, name);
    if (content !== null) await writeFile(bad, content);
    const refused = client.submit({ description: "q", inputs: [good, bad] });
    await expect(refused).rejects.toThrow(`input ${bad} ${reason}, expected a media file`);
    expect(received).toEqual([]);
  });

  test("what a node answers to a refused upload is what the caller reads", async () => {
    status = 507;
    answer = {
      error: { code: "STORE_FULL", message: "the artifact store is full", retryable: true },
    };
    const file = join(dir, "talk.mp4");
    await writeFile(file, "video");
    const refused = await client.upload(file).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "STORE_FULL", kind: "retryable" });
    expect((refused as Error).message).toBe(
      `input ${file} was refused: the artifact store is full`,
    );
  });

  test("a node that is gone is told by name, and the ticket is not", async () => {
    scheduler.uploadTarget = {
      node: "node-9",
      url: "http://127.0.0.1:1/artifacts",
      ticket: "secret",
    };
    const file = join(dir, "talk.mp4");
    await writeFile(file, "video");
    const refused = (await client.upload(file).catch((error: unknown) => error)) as Error;
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    expect(refused.message).toContain("node-9");
    expect(JSON.stringify(refused)).not.toContain("secret");
  });

  test("a stream is uploaded with its length, and an empty one refused under its name", async () => {
    const pieces = [Buffer.from("vi"), Buffer.from("deo")];
    await client.upload(
      (async function* () {
        yield* pieces;
      })(),
      { name: "live.mp4" },
    );
    expect(received[0]).toMatchObject({ bytes: 5, headers: { "content-length": "5" } });
    const empty = client.upload(
      (async function* () {
        // Nothing comes.
      })(),
      { name: "live.mp4" },
    );
    await expect(empty).rejects.toThrow("input live.mp4 is empty");
  });
});
