/** Goal: the load's clients repeat what got no answer under one id, and count what they were told. */
import { type Bus, MemoryBroker, publishValue } from "@murakkab/bus";
import { seededRandom } from "@murakkab/kit";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { Load } from "../src/load.ts";
import { drawJob } from "../src/load-jobs.ts";

const RECEIPT = { state: "succeeded", steps: [], output: { viaFile: ["m"], direct: ["m"] } };

function bed() {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, random: seededRandom(1) });
  const scheduler: Bus = broker.connect("scheduler");
  const submitted: string[] = [];
  /** How the next submissions are answered; accepted when none is left. */
  const answers: unknown[] = [];
  scheduler.messaging.subscribe(subjects.jobSubmit, ({ data, headers, reply }) => {
    const { jobId } = decode(data, headers).value as { jobId: string };
    submitted.push(jobId);
    const answer = answers.length > 0 ? answers.shift() : { jobId, decision: "accepted" };
    if (answer === "silence") return;
    const json = contentHeaders("json");
    scheduler.messaging.publish(reply ?? "", encode(answer, "json"), { headers: json });
  });
  const end = (jobId: string): void => {
    const receipt = { ...RECEIPT, jobId };
    const event = { jobId, number: 9, event: "succeeded", data: { receipt } };
    publishValue(scheduler.messaging, subjects.jobEvent("succeeded", jobId), event, "json");
  };
  let leftCount = 1;
  const random = seededRandom(3);
  const load = new Load(
    { messaging: broker.connect("clients").messaging, clock },
    {
      nextJob: () => {
        leftCount -= 1;
        return drawJob(random);
      },
      wantsMore: () => leftCount > 0,
      ...{ inFlightCount: 1, answerTimeoutMs: 1_000 },
    },
  );
  const done = load.run(new AbortController().signal);
  return { clock, submitted, answers, end, load, done };
}

describe("a client of the load", () => {
  test("asks again under one id after silence and after a retryable refusal", async () => {
    const { clock, submitted, answers, end, load, done } = bed();
    const error = { code: "OVERLOADED", message: "busy", retryable: true, retryAfterMs: 700 };
    answers.push("silence", { error });
    await clock.runUntil(() => [...load.jobs.values()][0]?.acceptedAtMs !== null);
    const [job] = load.jobs.values();
    expect(new Set(submitted).size).toBe(1);
    expect(submitted).toHaveLength(3);
    expect(job?.acceptedAtMs).toBeGreaterThanOrEqual(1_700);
    end(job?.jobId ?? "");
    await done;
    expect(job).toMatchObject({ state: "succeeded", used: { viaFile: ["m"], direct: ["m"] } });
  });

  test("does not repeat a refusal for good, and tells it", async () => {
    const { clock, submitted, answers, load, done } = bed();
    answers.push({ error: { code: "INVALID_ARGUMENT", message: "no", retryable: false } });
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    await clock.runUntil(() => isDone);
    expect(submitted).toHaveLength(1);
    expect([...load.jobs.values()][0]).toMatchObject({ acceptedAtMs: null, refusal: "no" });
  });
});

test("jobs are drawn from the seed, of both shapes", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 20 }, () => drawJob(random));
  };
  expect(draw(1)).toEqual(draw(1));
  expect(new Set(draw(1).map(({ workflow }) => workflow.name)).size).toBe(2);
});
