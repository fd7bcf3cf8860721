/** Goal: a score is counted for what really ran, and only for jobs that gave an answer. */
import { workflowSignature } from "@murakkab/core";
import type { JobPlan, JobStatus } from "@murakkab/model";
import { feedbackTarget } from "@murakkab/scheduler";
import { expect, test } from "vitest";

const plan: JobPlan = {
  ...{ workflow: "w", planner: "named", inputs: { question: "question" }, notes: [] },
  steps: [
    {
      ...{ step: "a", capability: "question-answering", executor: "extractive", knobs: { top: 1 } },
      ...{ inputs: { question: { kind: "input", input: "question" } }, outputs: {} },
    },
  ],
  ...{ output: { kind: "step", step: "a", output: "answer" }, outputType: "answer" },
};

const status = (change: Record<string, unknown> = {}): JobStatus =>
  ({
    ...{ jobId: "j1", state: "succeeded", tenant: "default", plan, stepStates: {} },
    receipt: { steps: [{ step: "a", executor: "extractive", knobs: { top: 2 } }] },
    ...change,
  }) as unknown as JobStatus;

test("without an explanation it is computed from plan and receipt", () => {
  expect(feedbackTarget(status())).toEqual({
    workflow: workflowSignature(plan),
    configuration: "question-answering=extractive{top=2}",
    questionClass: "any",
  });
});

test("what plan and receipt say themselves comes first", () => {
  const said = status({
    plan: { ...plan, workflowSignature: "w-1", explanation: { questionClass: "what" } },
    receipt: { configuration: "question-answering=other{}", steps: [] },
  });
  expect(feedbackTarget(said)).toEqual({
    workflow: "w-1",
    configuration: "question-answering=other{}",
    questionClass: "what",
  });
});

test.each([
  ["running", "JOB_NOT_FINISHED"],
  ["accepted", "JOB_NOT_FINISHED"],
  ["failed", "JOB_HAS_NO_ANSWER"],
  ["cancelled", "JOB_HAS_NO_ANSWER"],
])("a job that is %s is refused with %s", (state, code) => {
  expect(() => feedbackTarget(status({ state }))).toThrow(expect.objectContaining({ code }));
});
