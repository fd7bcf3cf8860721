/** The one form of all benchmark results: an object on the last line, or a table for people. */
import { cpus } from "node:os";

export interface Figure {
  readonly key: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: string;
  readonly met?: boolean;
  readonly note?: string;
}

export interface Report {
  readonly name: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly natsServer: string;
  };
  readonly settings: Readonly<Record<string, unknown>>;
  readonly figures: readonly Figure[];
}

export interface BenchContext {
  readonly isLong: boolean;
  /** Write CPU profiles and tell the hot spots, where a bench can; figures are then no figures. */
  readonly isProfiled: boolean;
  /** Of what is drawn, where a bench draws: another text gives other instances. */
  readonly seed: string;
  readonly signal: AbortSignal;
  /** One line on standard error. */
  readonly say: (line: string) => void;
}

/** How it was measured, one sentence, and the measurement. */
export interface Bench {
  readonly method: string;
  readonly run: (context: BenchContext) => Promise<Report>;
}

export function describeMachine(natsServer: string): Report["machine"] {
  const list = cpus();
  return {
    cpu: list[0]?.model ?? "unknown",
    cores: list.length,
    node: process.version,
    natsServer,
  };
}

/** A figure with a bound; `met` follows from the value. */
export function bounded(
  figure: Omit<Figure, "target" | "met">,
  bound: { readonly atLeast: number } | { readonly atMost: number },
): Figure {
  const isLower = "atLeast" in bound;
  const limit = isLower ? bound.atLeast : bound.atMost;
  const met = isLower ? figure.value >= limit : figure.value <= limit;
  return { ...figure, target: `${isLower ? ">=" : "<="} ${limit}`, met };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear interpolation between the two nearest ranks. NaN for an empty list. */
export function quantile(values: readonly number[], ratio: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * ratio;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

export function formatTable(report: Report, method: string): string {
  const rows = report.figures.map((figure) => [
    figure.key,
    `${figure.value} ${figure.unit}`,
    figure.target ?? "",
    figure.met === undefined ? "" : figure.met ? "met" : "missed",
    figure.note ?? "",
  ]);
  const widths = [0, 1, 2, 3].map((index) =>
    Math.max(...rows.map((row) => (row[index] ?? "").length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const { cpu, cores, node, natsServer } = report.machine;
  return [
    `${report.name}: ${method}`,
    `machine: ${cpu}, ${cores} cores, Node ${node}, nats-server ${natsServer}`,
    ...lines,
  ].join("\n");
}
