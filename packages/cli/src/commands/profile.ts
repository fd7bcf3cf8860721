/**
 * `murakkab profile EXECUTOR|WORKFLOW`: runs the real thing on the cluster, over a grid of settings.
 *
 * Owns:      flags, what is profiled with which inputs, the report.
 * Does not:  withClient: an interrupt here must cancel the jobs that run and then print what was
 *            learnt, so that the connection outlives it.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { describePaths } from "@murakkab/core";
import { describeError, NotFoundError, seededRandom, shuffle } from "@murakkab/kit";
import { loadDataset, type QuestionEntry } from "@murakkab/library";
import type { KnobValues, Workflow } from "@murakkab/model";
import { type Client, connect, type ExecutorView, workflowFromYaml } from "@murakkab/sdk";
import {
  type CommonOptions,
  type Context,
  columnsOf,
  EXIT,
  printJson,
  printLines,
  UsageError,
} from "../context.ts";
import { parseCount, parseDurationMs, parseKnobs, parsePairs } from "../parse-options.ts";
import { workflowTo } from "../profiler/executor-workflow.ts";
import {
  buildGrid,
  constraintsOf,
  type Grid,
  type KnobRange,
  type Setting,
  type WorkflowPath,
} from "../profiler/grid.ts";
import { profileExecutor } from "../profiler/profile-executor.ts";
import { type ExperimentOutcome, profileWorkflow } from "../profiler/profile-workflow.ts";
import type { SettingFigures } from "../profiler/setting-figures.ts";
import { TrialRunner } from "../profiler/trial-runner.ts";
import { renderFigures } from "../render/render-profile.ts";

export interface ProfileFlags extends CommonOptions {
  readonly dataset?: string;
  readonly input?: readonly string[];
  readonly budget?: string;
  readonly knob?: readonly string[];
  readonly path?: string;
  readonly all?: boolean;
  readonly executor?: readonly string[];
  readonly parallel?: string;
}

interface Target {
  readonly name: string;
  readonly kind: "executor" | "workflow";
  readonly workflow: string | Workflow;
  /** Of a workflow that is profiled: its DAG. */
  readonly logical: Workflow | null;
  readonly capabilities: readonly string[];
  readonly entry: ExecutorView | null;
}

interface Material {
  readonly questions: readonly QuestionEntry[];
  readonly files: readonly string[];
}

const PARALLEL_MAX = 64;
/** One job may take the whole budget, and some more: the end of the budget starts nothing new. */
const JOB_DEADLINE_MS = 10 * 60_000;
/** How long the learnt profiles of the last attempts are waited for, ms: two of their flushes. */
const LEARNT_WAIT_MS = 8_000;
const LEARNT_PAUSE_MS = 500;
const TYPE_OF_EXTENSION: Readonly<Record<string, string>> = {
  ".mp4": "video",
  ".mkv": "video",
  ".webm": "video",
  ".mov": "video",
  ".wav": "audio",
  ".mp3": "audio",
  ".flac": "audio",
  ".ogg": "audio",
  ".png": "image",
  ".jpg": "image",
  ".jpeg": "image",
};

export async function profile(
  context: Context,
  name: string,
  flags: ProfileFlags,
): Promise<number> {
  const { env, signal, stdout, stderr } = context;
  const budgetMs = parseDurationMs("budget", flags.budget ?? "5m");
  const material = readMaterial(context, flags); // told before anybody is connected to
  signal.throwIfAborted();
  const client = await connect({
    ...{ env, name: "murakkab-profile" },
    ...(flags.nats === undefined ? {} : { nats: flags.nats }),
  });
  try {
    const { executors, workflows } = await client.library();
    const target = await findTarget(context, name, { executors, workflows, material });
    const grid = makeGrid(target, executors, flags);
    stderr.write(
      `${target.name}: ${grid.settings.length} settings, ${material.questions.length} questions, ${material.files.length} inputs, budget ${budgetMs / 1_000} s\n`,
    );
    const startedAt = new Date();
    const outcome = await experiment(context, {
      client,
      target,
      grid,
      executors,
      material,
      budgetMs,
      flags,
    });
    const figures = await withLearnt(client, { target, grid, executors, outcome });
    if (flags.json === true) {
      printJson(stdout, reportOf({ target, flags, startedAt, outcome, figures }));
    } else printReport(context, { target, outcome, figures });
    if (outcome.end === "interrupted") return EXIT.interrupted;
    return outcome.results.length > 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await client.close();
  }
}

function readMaterial({ cwd }: Context, { dataset, input }: ProfileFlags): Material {
  const set = dataset === undefined ? null : loadDataset(resolve(cwd, dataset));
  const files = (input ?? []).map((it) => (it.includes("://") ? it : resolve(cwd, it)));
  const missing = files.find((it) => !it.includes("://") && !existsSync(it));
  if (missing !== undefined) {
    throw new NotFoundError(`input ${missing} is not there`, { field: "input" });
  }
  const chosen = files.length > 0 ? files : [set?.video ?? null].filter((it) => it !== null);
  if (chosen.length === 0) {
    throw new UsageError(
      "there is nothing to run on, expected --input FILE, or a dataset with a video",
      { field: "input" },
    );
  }
  return { questions: set?.questions ?? [], files: chosen };
}

async function findTarget(
  { cwd }: Context,
  name: string,
  {
    executors,
    workflows,
    material,
  }: {
    readonly executors: readonly ExecutorView[];
    readonly workflows: readonly Workflow[];
    readonly material: Material;
  },
): Promise<Target> {
  const entry = executors.find((it) => it.id === name);
  if (entry !== undefined) {
    const types = new Map([["question", "question"]]);
    for (const file of material.files) {
      const type = TYPE_OF_EXTENSION[extname(file).toLowerCase()] ?? "file";
      types.set(type, type);
    }
    const workflow = workflowTo(entry, executors, types);
    const capabilities = workflow.steps.map((step) => step.capability);
    return { name, kind: "executor", workflow, logical: null, capabilities, entry };
  }
  const isFile = /\.ya?ml$/.test(name);
  const workflow = isFile
    ? await readWorkflow(resolve(cwd, name))
    : workflows.find((it) => it.name === name);
  if (workflow === undefined) {
    const names = [...executors.map(({ id }) => id), ...workflows.map((it) => it.name)];
    throw new NotFoundError(
      `"${name}" is no executor and no workflow of the cluster, expected one of ${names.join(", ")}`,
    );
  }
  if (material.questions.length === 0) {
    throw new UsageError("a workflow is profiled on labelled questions, expected --dataset FILE", {
      field: "dataset",
    });
  }
  const capabilities = [...new Set(workflow.steps.map((step) => step.capability))];
  return {
    name: workflow.name,
    kind: "workflow",
    workflow: isFile ? workflow : name,
    logical: workflow,
    capabilities,
    entry: null,
  };
}

async function readWorkflow(path: string): Promise<Workflow> {
  try {
    return workflowFromYaml(await readFile(path, "utf8"), path);
  } catch (error) {
    throw new UsageError(`workflow file ${path}: ${describeError(error)}`, { field: "workflow" });
  }
}

function makeGrid(target: Target, executors: readonly ExecutorView[], flags: ProfileFlags): Grid {
  const fixed = {
    ...parsePairs("executor", flags.executor ?? []),
    ...(target.entry === null ? {} : { [target.entry.capability]: target.entry.id }),
  };
  return buildGrid({
    ...{ capabilities: target.capabilities, executors, fixed },
    knobs: (flags.knob ?? []).map(parseRange),
    ...(target.entry === null ? {} : { only: target.entry.id }),
    paths: target.entry === null ? pathsOf(target, executors, fixed) : [],
    ...(flags.path === undefined ? {} : { path: flags.path }),
  });
}

/** Ways through the workflow as they can run on this cluster. */
function pathsOf(
  { logical }: Target,
  executors: readonly ExecutorView[],
  fixed: Readonly<Record<string, string>>,
): readonly WorkflowPath[] {
  if (logical === null) return [];
  return describePaths({
    workflow: logical,
    planner: "named",
    library: { executors },
    availability: new Map(executors.map((it) => [it.id, it.unavailable])),
    constraints: { executors: fixed },
    excludedTypes: new Map(),
    notes: [],
  });
}

/** `ocr.width=320,640` → the values of one knob. */
export function parseRange(text: string): KnobRange {
  const at = text.indexOf("=");
  const pieces = text.slice(at + 1).split(",");
  const values = pieces.flatMap((piece) => {
    const parsed = parseKnobs([`${text.slice(0, at)}=${piece}`]);
    return Object.values(parsed).flatMap((knobs) => Object.values(knobs));
  });
  const [[executor, knobs]] = Object.entries(
    parseKnobs([`${text.slice(0, at)}=${pieces[0] ?? ""}`]),
  ) as [[string, KnobValues]];
  return { executor, knob: Object.keys(knobs)[0] ?? "", values: [...new Set(values)] };
}

interface ExperimentRequest {
  readonly client: Client;
  readonly target: Target;
  readonly grid: Grid;
  readonly executors: readonly ExecutorView[];
  readonly material: Material;
  readonly budgetMs: number;
  readonly flags: ProfileFlags;
}

async function experiment(
  context: Context,
  request: ExperimentRequest,
): Promise<ExperimentOutcome> {
  const { client, target, grid, executors, material, budgetMs, flags } = request;
  const { signal, stderr } = context;
  const inputs: string[] = [];
  for (const file of material.files) {
    inputs.push(file.includes("://") ? file : (await client.upload(file, { signal })).artifact);
  }
  const runner = new TrialRunner(client, signal);
  // Files list questions by kind: the first few of all kinds say more. The same order each time.
  const questions = shuffle(material.questions, seededRandom(target.name));
  const trial = (setting: Setting, what: { entry: QuestionEntry | null; inputs: string[] }) =>
    runner.run({
      ...{ setting: setting.name, workflow: target.workflow, deadlineMs: JOB_DEADLINE_MS },
      isFresh: target.entry !== null,
      constraints: constraintsOf(grid, setting, executors),
      ...what,
    });
  const shared = {
    ...{ settings: grid.settings, budgetMs },
    nowMs: () => performance.now(),
    tell: (line: string) => void stderr.write(`${line}\n`),
  };
  if (target.entry === null) {
    return profileWorkflow(
      {
        ...shared,
        isExhaustive: flags.all === true,
        questionCount: questions.length,
        parallelCount: parseCount("parallel", flags.parallel ?? "1", PARALLEL_MAX),
        run: (setting, question) => trial(setting, { entry: questions[question] ?? null, inputs }),
      },
      signal,
    );
  }
  return profileExecutor(
    {
      ...{ ...shared, capability: target.entry.capability, inputCount: inputs.length },
      run: (setting, input) =>
        trial(setting, {
          entry: needsQuestion(target) ? (material.questions[0] ?? ANY_QUESTION) : null,
          inputs: [inputs[input] ?? ""],
        }),
    },
    signal,
  );
}

/** An executor that takes a question is timed with any; its answer is not judged by this one. */
const ANY_QUESTION: QuestionEntry = {
  ...{ question: "What is there to see?", answers: ["not found"] },
  ...{ kind: "fact", answerable: false },
};

function needsQuestion({ workflow }: Target): boolean {
  return typeof workflow !== "string" && Object.values(workflow.inputs).includes("question");
}

/** For an executor: how far its attempts lie from the line that the cluster has learnt of them. */
async function withLearnt(
  client: Client,
  {
    target,
    grid,
    executors,
    outcome,
  }: {
    readonly target: Target;
    readonly grid: Grid;
    readonly executors: readonly ExecutorView[];
    readonly outcome: ExperimentOutcome;
  },
): Promise<readonly SettingFigures[]> {
  const { entry } = target;
  if (entry === null || outcome.results.length === 0 || outcome.end === "interrupted") {
    return outcome.figures;
  }
  const knobsOf = new Map(
    grid.settings.map((it) => [
      it.name,
      constraintsOf(grid, it, executors).knobs?.[entry.id] ?? {},
    ]),
  );
  const endMs = performance.now() + LEARNT_WAIT_MS;
  for (;;) {
    const learnt = (await client.profiles()).executors.filter(
      (it) =>
        it.executor === entry.id &&
        it.version === entry.version &&
        it.provenance.kind === "measured",
    );
    const figures = outcome.figures.map((it) => {
      const knobs = knobsOf.get(it.setting) ?? {};
      const found = learnt.find((profile) => isSame(profile.knobs, knobs));
      return found === undefined ? it : { ...it, fitError: found.runMs.spread };
    });
    const isComplete = figures.every((it) => it.runs === 0 || it.fitError !== null);
    if (isComplete || performance.now() >= endMs) return figures;
    await new Promise((done) => setTimeout(done, LEARNT_PAUSE_MS));
  }
}

function isSame(a: KnobValues, b: KnobValues): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}

const ENDS: Readonly<Record<ExperimentOutcome["end"], string>> = {
  settled: "what could be told apart is told apart",
  questions: "every question was asked",
  time: "the budget is used up",
  interrupted: "interrupted",
};

interface Report {
  readonly target: Target;
  readonly outcome: ExperimentOutcome;
  readonly figures: readonly SettingFigures[];
}

function reportOf({
  target,
  flags,
  startedAt,
  outcome,
  figures,
}: Report & { readonly flags: ProfileFlags; readonly startedAt: Date }): unknown {
  return {
    ...{ target: target.name, kind: target.kind, dataset: flags.dataset ?? null },
    startedAt: startedAt.toISOString(),
    elapsedMs: Date.now() - startedAt.getTime(),
    ...{ end: outcome.end, runs: outcome.results.length, settings: figures },
    provenance: {
      kind: "measured",
      note: "jobs on this cluster; dollars by its price table, watt-hours modelled",
      at: new Date().toISOString(),
      count: outcome.results.length,
    },
  };
}

function printReport({ stdout, paint }: Context, { target, outcome, figures }: Report): void {
  const ran = figures.filter((it) => it.runs > 0);
  printLines(stdout, [
    `${target.name}: ${outcome.results.length} runs, ${ENDS[outcome.end]}`,
    ...renderFigures(ran, { columns: columnsOf(stdout), paint, isExecutor: target.entry !== null }),
  ]);
}
