/** `murakkab profiles export|import|diff|show`. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidArgumentError, NotFoundError } from "@murakkab/kit";
import {
  diffProfiles,
  formatProblem,
  formatProfiles,
  loadProfiles,
  type ProfileChange,
} from "@murakkab/library";
import type { ExecutorEntry, ProfileSet } from "@murakkab/model";
import {
  type CommonOptions,
  type Context,
  EXIT,
  printJson,
  printLines,
  withClient,
} from "../context.ts";
import { executorLines, workflowLines } from "../render/render-profile.ts";
import { printable } from "../render/text-width.ts";

export async function exportProfiles(
  context: Context,
  flags: CommonOptions & { readonly out?: string },
): Promise<number> {
  const { stdout, cwd } = context;
  const { profiles, executors } = await withClient(context, flags, async (client) => ({
    profiles: await client.profiles(),
    executors: (await client.library()).executors,
  }));
  const text = formatProfiles(profiles, executors);
  if (flags.out === undefined) {
    if (flags.json === true) printJson(stdout, profiles);
    else stdout.write(text);
    return EXIT.ok;
  }
  await writeFile(resolve(cwd, flags.out), text);
  if (flags.json === true) printJson(stdout, { file: flags.out, ...countsOf(profiles) });
  else stdout.write(`${flags.out}: ${countsText(profiles)}\n`);
  return EXIT.ok;
}

export async function importProfiles(
  context: Context,
  file: string,
  flags: CommonOptions,
): Promise<number> {
  const { stdout, stderr } = context;
  const path = existing(context, file);
  readFile(path, undefined); // its own mistakes are told before anybody is connected to
  const taken = await withClient(context, flags, async (client) => {
    const { executors } = await client.library();
    const { profiles, warnings } = readFile(path, executors);
    printLines(stderr, warnings);
    return client.importProfiles(profiles);
  });
  if (flags.json === true) printJson(stdout, taken);
  else {
    stdout.write(
      `imported ${taken.executorCount} executor profiles and ${taken.configurationCount} configurations\n`,
    );
  }
  return EXIT.ok;
}

/** Two files, or a file against what the cluster knows. Exit code 1 where they differ. */
export async function diffCommand(
  context: Context,
  files: { readonly before: string; readonly after?: string },
  flags: CommonOptions,
): Promise<number> {
  const { stdout } = context;
  const { profiles: before } = readFile(existing(context, files.before), undefined);
  const after =
    files.after === undefined
      ? await withClient(context, flags, (client) => client.profiles())
      : readFile(existing(context, files.after), undefined).profiles;
  const changes = diffProfiles(before, after);
  if (flags.json === true) printJson(stdout, { changes });
  else printLines(stdout, changes.length === 0 ? ["no differences"] : changes.flatMap(changeLines));
  return changes.length === 0 ? EXIT.ok : EXIT.failed;
}

export async function showProfiles(
  context: Context,
  name: string | undefined,
  flags: CommonOptions,
): Promise<number> {
  const { stdout } = context;
  const all = await withClient(context, flags, (client) => client.profiles());
  const isWanted = (text: string): boolean =>
    name === undefined || text === name || text.startsWith(`${name}-`);
  const found: ProfileSet = {
    executors: all.executors.filter((it) => name === undefined || it.executor === name),
    workflows: all.workflows.filter((it) => isWanted(it.workflow)),
  };
  if (name !== undefined && found.executors.length + found.workflows.length === 0) {
    const names = [
      ...new Set([
        ...all.executors.map((it) => it.executor),
        ...all.workflows.map((it) => it.workflow),
      ]),
    ];
    throw new NotFoundError(
      `nothing is known of "${name}", expected one of ${names.join(", ") || "(nothing was learnt yet)"}`,
    );
  }
  if (flags.json === true) {
    printJson(stdout, found);
    return EXIT.ok;
  }
  const nowMs = Date.now();
  const lines = [
    ...found.executors.flatMap((it) => executorLines(it, nowMs)),
    ...found.workflows.flatMap((it) => workflowLines(it, nowMs)),
  ];
  printLines(stdout, lines.length === 0 ? ["nothing was learnt yet"] : lines);
  return EXIT.ok;
}

function existing({ cwd }: Context, file: string): string {
  const path = resolve(cwd, file);
  if (!existsSync(path)) throw new NotFoundError(`profile file ${file} is not there`);
  return path;
}

/** Errors: `INVALID_ARGUMENT` with all that is wrong, one line each. */
function readFile(
  path: string,
  executors: readonly ExecutorEntry[] | undefined,
): { readonly profiles: ProfileSet; readonly warnings: readonly string[] } {
  const { problems, ...profiles } = loadProfiles([path], executors);
  const errors = problems.filter((it) => it.severity === "error");
  if (errors.length > 0) {
    throw new InvalidArgumentError(errors.map(formatProblem).join("\n"), {
      field: errors[0]?.field ?? "file",
    });
  }
  return { profiles, warnings: problems.map(formatProblem) };
}

function changeLines({ kind, what, name, fields }: ProfileChange): readonly string[] {
  const sign = kind === "added" ? "+" : kind === "removed" ? "-" : "~";
  return [
    `${sign} ${what} ${printable(name)}`,
    ...fields.map(({ field, before, after }) => {
      const text = (value: string | number | boolean | null): string =>
        value === null ? "none" : printable(String(value));
      return `    ${field}: ${text(before)} -> ${text(after)}`;
    }),
  ];
}

function countsOf({ executors, workflows }: ProfileSet) {
  const configurationCount = workflows.reduce((sum, it) => sum + it.configurations.length, 0);
  return { executorCount: executors.length, configurationCount };
}

function countsText(profiles: ProfileSet): string {
  const { executorCount, configurationCount } = countsOf(profiles);
  return `${executorCount} executor profiles, ${configurationCount} configurations`;
}
