/**
 * Goal: what a new scheduler makes of the records that a killed one left, also when it died between
 * the terminal event and the record.
 */
import { call } from "@murakkab/bus";
import type { JobStatus, Receipt } from "@murakkab/model";
import { contentHeaders, encode, type JobEvent, subjects } from "@murakkab/protocol";
import { SimFleet } from "@murakkab/testkit";
import { expect, test } from "vitest";

const JOB_ID = "7c0f3c1e-0000-4000-8000-00000000000a";

test("V3: a stored terminal event is adopted, the job does not run again", async () => {
  const fleet = new SimFleet({ seed: "recovery", executors: [], engines: {}, hosts: [] });
  const receipt = { jobId: JOB_ID, state: "succeeded", answer: "Anna", steps: [] };
  const status: JobStatus = {
    jobId: JOB_ID,
    state: "running",
    tenant: "default",
    description: "who is it?",
    workflow: "type-directed",
    acceptedAtMs: 0,
    plan: null,
    stepStates: {},
  };
  const submission = { jobId: JOB_ID, inputs: [], slo: {}, constraints: {}, tenant: "default" };
  const record = { submission, status, inputValues: {}, inputGaps: [] };
  const event = {
    jobId: JOB_ID,
    number: 7,
    event: "succeeded",
    at: "",
    sinceMs: 1,
    data: { receipt },
  };
  const found = await fleet.run(async () => {
    const { state, messaging } = fleet.client;
    const records = await state.openKeyValue("MK_JOBS", { ttlMs: 7 * 24 * 3_600_000 });
    await records.put(JOB_ID, encode(record, "json"));
    const log = await state.openLog("MK_JOB_EVENTS", {
      subjects: [subjects.allJobEvents],
      maxAgeMs: 7 * 24 * 3_600_000,
    });
    const headers = contentHeaders("json");
    await log.append(subjects.jobEvent("succeeded", JOB_ID), encode(event, "json"), { headers });
    await fleet.scheduler.start();
    const get = { subject: subjects.jobGet(JOB_ID), value: null };
    const kept = { subject: subjects.jobEvents(JOB_ID), value: null };
    return {
      receipt: await call<Receipt>(messaging, get, { timeoutMs: 1_000 }),
      ...(await call<{ events: JobEvent[] }>(messaging, kept, { timeoutMs: 1_000 })),
    };
  });
  expect(found.receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
  expect(found.events).toHaveLength(1);
});
