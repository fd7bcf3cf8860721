/** Goal: over a whole simulated fleet, equal steps of jobs at the same time run once. */
import { call } from "@murakkab/bus";
import type { AttemptObservation, JobReply, Receipt } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import { buildExecutor, SimFleet } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const ports = { inputs: { clip: "video" }, outputs: { text: "screen-text" } };
const tell = { inputs: { text: "screen-text", question: "question" }, outputs: { out: "answer" } };
const step = (name: string, output: string) => ({ kind: "step", step: name, output }) as const;
const input = (name: string) => ({ kind: "input", input: name }) as const;

/** read (the video only) -> tell (with the question). */
function makeFleet(seed: string) {
  const runs: string[] = [];
  const observed: AttemptObservation[] = [];
  const fleet = new SimFleet({
    seed,
    executors: [
      buildExecutor("reader", "read", ports, { sizedBy: ["clip"] }),
      buildExecutor("teller", "tell", tell),
    ],
    workflows: [
      {
        name: "ask",
        inputs: { video: "video", question: "question" },
        steps: [
          { id: "read", capability: "read", inputs: { clip: input("video") } },
          {
            ...{ id: "tell", capability: "tell" },
            inputs: { text: step("read", "text"), question: input("question") },
          },
        ],
        output: step("tell", "out"),
      },
    ],
    engines: {
      reader: {
        runMs: 500,
        outputs: () => {
          runs.push("read");
          return { text: "lines" };
        },
      },
      teller: {
        runMs: 20,
        outputs: ({ inputs }) => {
          runs.push(`tell ${String(inputs["question"])}`);
          return { out: { text: `answer to ${String(inputs["question"])}`, found: true } };
        },
      },
    },
    hosts: ["n1", "n2"].map((node) => ({ node, cpus: 2, memoryMib: 1_024, programs: [] })),
    inputs: new Map([["/in/clip.mp4", new Uint8Array([1, 2, 3])]]),
    observe: (it) => void observed.push(it),
  });
  const ask = async (question: string, changes: object = {}): Promise<Receipt> => {
    const messaging = fleet.client.messaging;
    const reply = await call<JobReply>(
      messaging,
      {
        subject: subjects.jobSubmit,
        value: { description: question, workflow: "ask", inputs: ["/in/clip.mp4"], ...changes },
      },
      { timeoutMs: 20_000 },
    );
    if (!("decision" in reply)) throw new Error("not accepted");
    return call<Receipt>(
      messaging,
      { subject: subjects.jobWait(reply.jobId), value: { timeoutMs: 30_000 } },
      { timeoutMs: 31_000 },
    );
  };
  return { fleet, runs, observed, ask };
}

describe("several questions about one video", () => {
  test("at the same time: the video is read once, and each is told", async () => {
    const { fleet, runs, observed, ask } = makeFleet("together");
    await fleet.start();
    const questions = ["who?", "where?", "when?"];
    const receipts = await fleet.run(() => Promise.all(questions.map((it) => ask(it))));
    expect(receipts.map((it) => it.answer)).toEqual(questions.map((it) => `answer to ${it}`));
    expect(runs.filter((it) => it === "read")).toHaveLength(1);
    const sharing = receipts.filter((it) => it.steps[0]?.shared !== undefined);
    expect(sharing).toHaveLength(2);
    const billed = receipts.filter((it) => (it.steps[0]?.costUsd ?? 0) > 0);
    expect(billed.map((it) => it.jobId)).toEqual(sharing[0]?.steps[0]?.shared?.fromJobs);
    // The simulated video is 60 s long.
    expect(observed.filter((it) => it.executor === "reader").map((it) => it.size)).toEqual([60]);
  });

  test("later, and again fresh", async () => {
    const { fleet, runs, ask } = makeFleet("later");
    await fleet.start();
    await fleet.run(() => ask("who?"));
    const again = await fleet.run(() => ask("who?"));
    expect(runs).toEqual(["read", "tell who?"]);
    expect(again).toMatchObject({ answer: "answer to who?", costUsd: 0 });
    const fresh = await fleet.run(() => ask("who?", { fresh: true }));
    expect(runs).toHaveLength(4);
    expect(fresh.steps.every((it) => it.shared === undefined)).toBe(true);
  });

  test("the one that reads loses its worker: nobody who waits fails with it", async () => {
    const { fleet, runs, ask } = makeFleet("crash");
    await fleet.start();
    const all = fleet.run(() => {
      fleet.clock.after(300, () => {
        for (const host of fleet.hosts) {
          for (const it of host.instances.filter((name) => name.startsWith("reader")))
            host.crash(it);
        }
      });
      return Promise.all(["who?", "where?"].map((it) => ask(it)));
    });
    const receipts = await all;
    expect(receipts.map((it) => it.state)).toEqual(["succeeded", "succeeded"]);
    // The lost one, which the simulation lets end unheard, and the one that counts for both.
    expect(runs.filter((it) => it === "read")).toHaveLength(2);
    expect(receipts.flatMap((it) => it.steps[0]?.shared?.items ?? [])).toEqual([1]);
  });
});
