/**
 * How large the values between steps will be, from profiles and the job's inputs.
 *
 * Units: as `SizeUnit` says; a job's input counts in seconds of media where known, else in bytes.
 */
import type {
  ExecutorEntry,
  ExecutorProfile,
  LinearModel,
  PlannedStep,
  Source,
} from "@murakkab/model";

/** What is known of a job's input: seconds of media, and bytes. */
export interface InputSize {
  readonly sec?: number;
  readonly bytes: number;
}

/** Sizes of values by `input` or `step.port`. */
export type ValueSizes = ReadonlyMap<string, number>;

export function sourceName(source: Source): string {
  return source.kind === "input" ? source.input : `${source.step}.${source.output}`;
}

export function inputSizes(inputs: Readonly<Record<string, InputSize>>): Map<string, number> {
  return new Map(Object.entries(inputs).map(([name, size]) => [name, size.sec ?? size.bytes]));
}

export interface AttemptShape {
  /** Items of the whole step; 1 without fan-out. */
  readonly items: number;
  readonly attempts: number;
  /** Size of a full attempt. */
  readonly size: number;
}

/** Into how many attempts a step falls, and how large each is. */
export function attemptShape(
  planned: Pick<PlannedStep, "inputs" | "fanOut" | "batchItems">,
  entry: ExecutorEntry,
  sizes: ValueSizes,
): AttemptShape {
  const sizeOf = (port: string): number => {
    const source = planned.inputs[port];
    return source === undefined ? 0 : (sizes.get(sourceName(source)) ?? 0);
  };
  const items = planned.fanOut === undefined ? 1 : Math.max(0, Math.round(sizeOf(planned.fanOut)));
  const perAttempt = Math.max(1, Math.min(planned.batchItems ?? 1, items));
  const attempts = planned.fanOut === undefined ? 1 : Math.ceil(items / perAttempt);
  const drivers = (entry.sizedBy ?? []).filter((port) => planned.inputs[port] !== undefined);
  const driver =
    drivers.find((port) => port === planned.fanOut || sizeOf(port) > 0) ?? drivers.at(-1);
  const isDrivenByItems = driver === undefined || driver === planned.fanOut;
  const size = isDrivenByItems ? (planned.fanOut === undefined ? 1 : perAttempt) : sizeOf(driver);
  return { items, attempts, size };
}

export function valueAt(line: LinearModel, size: number): number {
  return Math.max(0, line.fixed + line.perUnit * size);
}

/** Predicted sizes of a step's outputs, by `step.port`. */
export function outputSizes(
  planned: PlannedStep,
  profile: ExecutorProfile | null,
  shape: AttemptShape,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const port of Object.keys(planned.outputs)) {
    const line = profile?.outputSizes[port];
    const each = line === undefined ? 0 : valueAt(line, shape.size);
    sizes.set(`${planned.step}.${port}`, planned.fanOut === undefined ? each : shape.items);
  }
  return sizes;
}
