/** `murakkab library list|show|check`. */
import { existsSync } from "node:fs";
import { isRuntimeError, NotFoundError } from "@murakkab/kit";
import { CATALOGUE_DIR, formatProblem, loadLibrary } from "@murakkab/library";
import type { ExecutorEntry, Workflow } from "@murakkab/model";
import type { ExecutorView, LibraryView } from "@murakkab/sdk";
import { formatSource } from "@murakkab/sdk";
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { renderTable } from "../render/table.ts";
import { wrap } from "../render/text-width.ts";

/** The running cluster's library; the shipped one where no cluster runs. */
async function readLibrary(
  context: Context,
  flags: CommonOptions,
): Promise<LibraryView & { readonly isLive: boolean }> {
  try {
    const live = await withClient(context, flags, (client) => client.library());
    return { ...live, isLive: true };
  } catch (error) {
    const isAway = isRuntimeError(error) && error.code === "UNAVAILABLE";
    if (!isAway || flags.nats !== undefined) throw error;
    const { executors, workflows } = loadLibrary([CATALOGUE_DIR]);
    const views = executors.map((entry) => ({ ...entry, unavailable: null }));
    return { executors: views, workflows, isLive: false };
  }
}

export async function listLibrary(context: Context, flags: CommonOptions): Promise<number> {
  const { stdout, stderr, paint } = context;
  const { executors, workflows, isLive } = await readLibrary(context, flags);
  if (flags.json === true) {
    printJson(stdout, { executors, workflows });
    return EXIT.ok;
  }
  if (!isLive) stderr.write("no cluster is running: this is the shipped library\n");
  const columns = [
    { title: "executor" },
    { title: "capability" },
    { title: "kind" },
    { title: "version" },
    { title: isLive ? "state" : "needs", columnsMin: 10 },
  ] as const;
  const rows = executors.map((entry) => [
    entry.id,
    entry.capability,
    entry.kind,
    entry.version,
    isLive ? (entry.unavailable ?? "available") : entry.programs.join(", ") || "nothing",
  ]);
  const paintCell = (text: string, row: number, column: number): string =>
    column === 4 && executors[row]?.unavailable !== null ? paint.yellow(text) : text;
  const options = { columns: columnsOf(stdout), paintTitle: paint.dim, paintCell };
  printLines(stdout, renderTable(columns, rows, options));
  if (workflows.length === 0) return EXIT.ok;
  const flowRows = workflows.map((it) => [it.name, String(it.steps.length), it.description ?? ""]);
  const flowColumns = [
    { title: "workflow" },
    { title: "steps", align: "right" },
    { title: "description", columnsMin: 12 },
  ] as const;
  printLines(stdout, ["", ...renderTable(flowColumns, flowRows, options)]);
  return EXIT.ok;
}

export async function showLibrary(
  context: Context,
  name: string,
  flags: CommonOptions,
): Promise<number> {
  const { stdout } = context;
  const { executors, workflows } = await readLibrary(context, flags);
  const entry = executors.find(({ id }) => id === name);
  const flow = workflows.find((it) => it.name === name);
  const found = entry ?? flow;
  if (found === undefined) {
    const names = [...executors.map(({ id }) => id), ...workflows.map((it) => it.name)];
    throw new NotFoundError(`"${name}" is not in the library, expected one of ${names.join(", ")}`);
  }
  if (flags.json === true) printJson(stdout, found);
  else
    printLines(stdout, entry === undefined ? workflowLines(flow) : executorLines(context, entry));
  return EXIT.ok;
}

function executorLines({ stdout, paint }: Context, entry: ExecutorView): string[] {
  const { resources, provenance } = entry;
  const ports = (of: ExecutorEntry["inputs"]): string =>
    Object.entries(of)
      .map(([port, { type, isOptional }]) => `${port}${isOptional === true ? "?" : ""}: ${type}`)
      .join(", ");
  return [
    `${paint.bold(entry.id)} ${entry.version}, a ${entry.kind} for ${entry.capability}`,
    ...wrap(entry.description, columnsOf(stdout)),
    `inputs      ${ports(entry.inputs)}`,
    `outputs     ${ports(entry.outputs)}`,
    `programs    ${entry.programs.join(", ") || "none"}`,
    `resources   ${resources.cores} cores, ${resources.memoryMib} MiB, at most ${entry.timeLimitMs} ms`,
    ...Object.entries(entry.knobs).map(([name, knob], index) => {
      const values = knob.values.map((it) => (it === knob.default ? `${it} (default)` : `${it}`));
      return `${index === 0 ? "knobs       " : "            "}${name}: ${values.join(", ")}`;
    }),
    `figures     ${provenance.kind}: ${provenance.note}`,
    entry.unavailable === null ? "available" : `unavailable ${entry.unavailable}`,
  ];
}

function workflowLines(flow: Workflow | undefined): string[] {
  if (flow === undefined) return [];
  return [
    `${flow.name}: ${flow.description ?? "no description"}`,
    `inputs  ${Object.entries(flow.inputs)
      .map(([name, type]) => `${name}: ${type}`)
      .join(", ")}`,
    ...flow.steps.map((step) => {
      const from = Object.entries(step.inputs).map(
        ([port, source]) => `${port} ← ${formatSource(source)}`,
      );
      return `step    ${step.id}: ${step.capability} (${from.join(", ")})`;
    }),
    `output  ${formatSource(flow.output)}`,
  ];
}

/** Without a directory: the shipped library. Exit code 1 when there is an error. */
export async function checkLibrary(
  { stdout }: Context,
  dir: string | undefined,
  flags: CommonOptions,
): Promise<number> {
  if (dir !== undefined && !existsSync(dir)) {
    throw new NotFoundError(`library directory ${dir} does not exist`);
  }
  const { executors, workflows, problems } = loadLibrary([dir ?? CATALOGUE_DIR]);
  const errorCount = problems.filter(({ severity }) => severity === "error").length;
  const counts = { executors: executors.length, workflows: workflows.length };
  if (flags.json === true) printJson(stdout, { ...counts, problems });
  else {
    printLines(stdout, problems.map(formatProblem));
    const warningCount = problems.length - errorCount;
    stdout.write(
      `${counts.executors} executors, ${counts.workflows} workflows, ${errorCount} errors, ${warningCount} warnings\n`,
    );
  }
  return errorCount === 0 ? EXIT.ok : EXIT.failed;
}
