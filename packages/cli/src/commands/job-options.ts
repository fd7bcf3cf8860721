/** The options that `submit` and `plan` share, as a request of the client. */
import { readFile } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { describeError, NotFoundError } from "@murakkab/kit";
import type { JobRequest } from "@murakkab/sdk";
import { checkInputs, workflowFromYaml } from "@murakkab/sdk";
import type { CommonOptions } from "../context.ts";
import { UsageError } from "../context.ts";
import {
  parseDurationMs,
  parseKnobs,
  parseObjective,
  parsePairs,
  parseSloOption,
} from "../parse-options.ts";

export interface JobFlags extends CommonOptions {
  readonly input?: readonly string[];
  readonly workflow?: string;
  readonly slo?: readonly string[];
  readonly objective?: string;
  readonly executor?: readonly string[];
  readonly knob?: readonly string[];
  readonly label?: readonly string[];
  readonly onHost?: boolean;
  readonly configuration?: string;
  readonly tenant?: string;
  readonly deadline?: string;
  readonly fresh?: boolean;
  readonly id?: string;
  readonly idempotencyKey?: string;
}

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Errors: UsageError for what the command line itself has wrong. */
export async function toJobRequest(
  description: string | undefined,
  flags: JobFlags,
  cwd: string,
): Promise<JobRequest> {
  if (description === undefined && flags.workflow === undefined) throw missingDescription(flags);
  if (description?.trim() === "") {
    throw new UsageError("the description is empty, expected a question or task");
  }
  if (flags.id !== undefined && !UUID_PATTERN.test(flags.id)) {
    throw new UsageError(`--id is "${flags.id}", expected a UUID`, { field: "id" });
  }
  const inputs = (flags.input ?? []).map((input) => atCwd(input, cwd));
  await checkInputs(inputs); // Told before anybody is connected to.
  const constraints = {
    ...some("executors", flags.executor, (texts) => parsePairs("executor", texts)),
    ...some("knobs", flags.knob, parseKnobs),
    ...some("labels", flags.label, (texts) => parsePairs("label", texts)),
    ...(flags.onHost === true ? { staysOnHost: true } : {}),
    ...given("configuration", flags.configuration),
  };
  return {
    ...given("description", description),
    inputs,
    ...some("slo", flags.slo, parseSloOption),
    ...(flags.objective === undefined ? {} : { objective: parseObjective(flags.objective) }),
    ...(Object.keys(constraints).length === 0 ? {} : { constraints }),
    ...given("tenant", flags.tenant),
    ...given("idempotencyKey", flags.idempotencyKey),
    ...given("jobId", flags.id),
    ...(flags.fresh === true ? { fresh: true } : {}),
    ...(flags.deadline === undefined
      ? {}
      : { deadlineMs: parseDurationMs("deadline", flags.deadline) }),
    ...(flags.workflow === undefined ? {} : { workflow: await readWorkflow(flags.workflow, cwd) }),
  };
}

/** Several words after `--input` are its files, so a description there is taken for a file. */
function missingDescription({ input }: JobFlags): UsageError {
  const last = input?.at(-1);
  const looksLikeText = last !== undefined && /\s/.test(last);
  return new UsageError(
    looksLikeText
      ? `the description is missing, expected it before --input: "${last}" was taken for a file`
      : 'the description is missing, expected one such as murakkab submit "What is said?" --input talk.mp4, or --workflow',
  );
}

/** A path as the user wrote it stays so in messages, unless the working directory is not ours. */
function atCwd(input: string, cwd: string): string {
  if (input.includes("://") || isAbsolute(input) || cwd === process.cwd()) return input;
  return resolve(cwd, input);
}

async function readWorkflow(text: string, cwd: string): Promise<JobRequest["workflow"] & {}> {
  if (!/\.ya?ml$/.test(text)) return text;
  let yaml: string;
  try {
    yaml = await readFile(resolve(cwd, text), "utf8");
  } catch (error) {
    throw new NotFoundError(`workflow file ${text} cannot be read: ${describeError(error)}`, {
      field: "workflow",
    });
  }
  return workflowFromYaml(yaml, text);
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function some<K extends string, V>(
  key: K,
  texts: readonly string[] | undefined,
  parse: (texts: readonly string[]) => V,
): { [P in K]?: V } {
  return texts === undefined || texts.length === 0 ? {} : given(key, parse(texts));
}
