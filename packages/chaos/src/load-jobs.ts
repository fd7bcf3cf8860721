/** The jobs of the load: which workflow, and what their text is. */
import type { Random } from "@murakkab/kit";
import type { Workflow } from "@murakkab/model";

export interface LoadJob {
  readonly jobId: string;
  readonly description: string;
  readonly workflow: Workflow;
}

const QUESTION = { kind: "input", input: "question" } as const;

/** One step with an effect. */
const MARK_WORKFLOW: Workflow = {
  name: "chaos-mark",
  inputs: { question: "question" },
  steps: [{ id: "mark", capability: "chaos-marking", inputs: { item: QUESTION } }],
  output: { kind: "step", step: "mark", output: "mark" },
};

/** 1 -> 3 effects -> 1 artifact -> its consumer, which gets the effects' marks by two ways. */
const FAN_WORKFLOW: Workflow = {
  name: "chaos-fan",
  inputs: { question: "question" },
  steps: [
    { id: "split", capability: "chaos-splitting", inputs: { question: QUESTION } },
    {
      id: "mark",
      capability: "chaos-marking",
      inputs: { item: { kind: "step", step: "split", output: "items" } },
    },
    {
      id: "make",
      capability: "chaos-making",
      inputs: { marks: { kind: "step", step: "mark", output: "mark" } },
    },
    {
      id: "use",
      capability: "chaos-using",
      inputs: {
        file: { kind: "step", step: "make", output: "file" },
        marks: { kind: "step", step: "mark", output: "mark" },
      },
    },
  ],
  output: { kind: "step", step: "use", output: "used" },
};

/** Half of the jobs are short, so that some end at every moment. */
export function drawJob(random: Random): LoadJob {
  const jobId = random.uuid();
  return random.next() < 0.5
    ? { jobId, description: `${jobId} mark 0`, workflow: MARK_WORKFLOW }
    : { jobId, description: jobId, workflow: FAN_WORKFLOW };
}

/** A job of one step that waits without using a core, for the recovery bench. */
export function taskJob(random: Random, effect: "before" | "after"): LoadJob {
  const jobId = random.uuid();
  return {
    jobId,
    description: `${jobId} task 0`,
    workflow: {
      name: "chaos-task",
      inputs: { question: "question" },
      steps: [
        {
          id: "task",
          capability: "chaos-waiting",
          inputs: { question: QUESTION },
          knobs: { effect },
        },
      ],
      output: { kind: "step", step: "task", output: "mark" },
    },
  };
}
