/**
 * Goal: feedback reaches the job's owner from whichever scheduler got it, counts once, and is refused
 * with a clear reason otherwise. Two schedulers, virtual time.
 */
import { call } from "@murakkab/bus";
import type { ProfileSet } from "@murakkab/model";
import { type JobFeedbackReply, type ProfilePage, subjects } from "@murakkab/protocol";
import { SimFleet, videoExecutors } from "@murakkab/testkit";
import { expect, test } from "vitest";

const executors = videoExecutors().filter((it) => it.id === "people" || it.id === "frames");
const FRAMES = [{ atSec: 1 }];
const fleetOf = (runMs: number) =>
  new SimFleet({
    ...{ seed: "feedback", executors, schedulers: 2 },
    engines: {
      frames: { runMs: 10, outputs: () => ({ frames: FRAMES }) },
      people: { runMs, outputs: () => ({ people: { people: [] } }) },
    },
    hosts: [{ node: "n1", cpus: 2, memoryMib: 1_024, programs: [] }],
    inputs: new Map([["clip.mp4", new Uint8Array([1, 2, 3])]]),
    workflows: [
      {
        name: "w",
        inputs: { video: "video" },
        steps: [
          {
            id: "f",
            capability: "frame-extraction",
            inputs: { video: { kind: "input", input: "video" } },
          },
          {
            id: "p",
            capability: "person-detection",
            inputs: { frame: { kind: "step", step: "f", output: "frames" } },
          },
        ],
        output: { kind: "step", step: "p", output: "people" },
      },
    ],
  });

const JOBS = ["00", "40", "80", "c0", "ff"].map((it) => `7c0f3c1e-0000-4000-8000-0000000000${it}`);

const UNKNOWN = "7c0f3c1e-0000-4000-8000-000000000777";

test("feedback of jobs of all partitions counts once, for the configuration that ran", async () => {
  const fleet = fleetOf(20);
  await fleet.start();
  const { messaging } = fleet.client;
  const ask = <T>(subject: string, value: unknown) =>
    call<T>(messaging, { subject, value }, { timeoutMs: 60_000 });
  await fleet.run(async () => {
    for (const jobId of JOBS) {
      await ask(subjects.jobSubmit, { jobId, workflow: "w", inputs: ["clip.mp4"], tenant: "acme" });
      await ask(subjects.jobWait(jobId), { timeoutMs: 60_000 });
    }
    const give = (value: unknown) => ask<JobFeedbackReply>(subjects.jobFeedback, value);
    for (const jobId of [...JOBS, ...JOBS]) {
      const reply = await give({ jobId, score: 1, tenant: "acme", labelled: true });
      expect(reply.configuration).toBe("frame-extraction=frames{} person-detection=people{}");
    }
    expect((await give({ jobId: JOBS[0], score: 0.5, tenant: "acme" })).isReplaced).toBe(false);
    expect((await give({ jobId: JOBS[0], score: 0.2, tenant: "acme" })).isReplaced).toBe(true);
    const codeOf = (value: unknown) =>
      give(value).then(
        () => "taken",
        (error: unknown) => (error as { code: string }).code,
      );
    expect(await codeOf({ jobId: JOBS[0], score: 1 })).toBe("FORBIDDEN");
    expect(await codeOf({ jobId: UNKNOWN, score: 1 })).toBe("NOT_FOUND");
    expect(await codeOf({ jobId: JOBS[0], score: 2, tenant: "acme" })).toBe("INVALID_ARGUMENT");
    const { profiles, next } = await ask<ProfilePage>(subjects.profileGet, {});
    expect(next).toBeNull();
    expect(profiles.workflows[0]?.configurations).toMatchObject([
      {
        byClass: { any: { scoreSum: 5, count: 5 } },
        feedback: { any: { scoreSum: 0.2, count: 1 } },
      },
    ]);
    // What was exported can be imported, and changes nothing.
    await ask(subjects.profilePut, { profiles });
    const again = await ask<ProfilePage>(subjects.profileGet, null);
    expect(again.profiles.workflows[0]?.configurations).toMatchObject(
      (profiles as ProfileSet).workflows[0]?.configurations.map(({ byClass }) => ({ byClass })) ??
        [],
    );
    const bad = { executors: [], workflows: [{ workflow: "w", configurations: [{}] }] };
    await expect(ask(subjects.profilePut, { profiles: bad })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await expect(ask(subjects.profileGet, { all: true })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

test("a job that still runs is not judged", async () => {
  const fleet = fleetOf(60_000);
  await fleet.start();
  const { messaging } = fleet.client;
  await fleet.run(async () => {
    const [jobId] = JOBS;
    const submission = { jobId, workflow: "w", inputs: ["clip.mp4"] };
    await call(messaging, { subject: subjects.jobSubmit, value: submission }, { timeoutMs: 9_000 });
    const feedback = { subject: subjects.jobFeedback, value: { jobId, score: 1 } };
    await expect(call(messaging, feedback, { timeoutMs: 9_000 })).rejects.toMatchObject({
      code: "JOB_NOT_FINISHED",
    });
  });
});
