/**
 * GPU samples from what `nvidia-smi` prints, tolerant of drivers and cards that were not seen yet.
 *
 * The tree comes from an XML parser that makes one child an object, several an array and an empty
 * element a text. Figures are texts with units; `N/A` and everything else that is no number with
 * the expected unit is null: unknown is not zero.
 */
import type { GpuSample } from "@murakkab/model";

const MIB = 1_048_576;

/** `nvidia-smi -q -x` as parsed by node-nvidia-smi. Empty when it is no such report. */
export function gpusInReport(report: unknown): GpuSample[] {
  const log = child(report, "nvidia_smi_log");
  return listOf(child(log, "gpu")).flatMap((gpu, index) => {
    const uuid = text(child(gpu, "uuid"));
    if (uuid === null) return []; // without an identity nothing can be said of it
    const memory = child(gpu, "fb_memory_usage");
    return [
      {
        uuid,
        index,
        name: text(child(gpu, "product_name")) ?? "unknown GPU",
        memoryTotalBytes: scaled(amount(child(memory, "total"), "MiB"), MIB),
        memoryUsedBytes: scaled(amount(child(memory, "used"), "MiB"), MIB),
        utilizationRatio: scaled(amount(child(child(gpu, "utilization"), "gpu_util"), "%"), 0.01),
        powerWatts: powerWatts(gpu),
        temperatureC: amount(child(child(gpu, "temperature"), "gpu_temp"), "C"),
      },
    ];
  });
}

/** Drivers up to 525 say `power_readings`, later ones `gpu_power_readings`, with several names. */
function powerWatts(gpu: unknown): number | null {
  for (const section of ["gpu_power_readings", "power_readings"]) {
    for (const field of ["average_power_draw", "power_draw", "instant_power_draw"]) {
      const watts = amount(child(child(gpu, section), field), "W");
      if (watts !== null) return watts;
    }
  }
  return null;
}

export const CSV_FIELDS =
  "index,uuid,name,memory.total,memory.used,utilization.gpu,power.draw,temperature.gpu";

/** `nvidia-smi --query-gpu=<CSV_FIELDS> --format=csv,noheader,nounits`. */
export function gpusInCsv(csv: string): GpuSample[] {
  return csv.split("\n").flatMap((line) => {
    const fields = line.split(",").map((field) => field.trim());
    const [index, uuid, name, total, used, utilization, power, temperature] = fields;
    if (uuid === undefined || !/^(?:GPU|MIG)-/.test(uuid)) return [];
    return [
      {
        uuid,
        index: Number(index),
        name: name ?? "unknown GPU",
        memoryTotalBytes: scaled(plainNumber(total), MIB),
        memoryUsedBytes: scaled(plainNumber(used), MIB),
        utilizationRatio: scaled(plainNumber(utilization), 0.01),
        powerWatts: plainNumber(power),
        temperatureC: plainNumber(temperature),
      },
    ];
  });
}

function child(node: unknown, name: string): unknown {
  if (node === null || typeof node !== "object" || !Object.hasOwn(node, name)) return undefined;
  return (node as Record<string, unknown>)[name];
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === "") return [];
  return Array.isArray(value) ? value : [value];
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value !== "N/A" ? value : null;
}

function amount(value: unknown, unit: string): number | null {
  const match = /^(-?\d+(?:\.\d+)?)\s*(\S*)$/.exec(text(value) ?? "");
  return match?.[2] === unit ? Number(match[1]) : null;
}

function plainNumber(value: string | undefined): number | null {
  return value !== undefined && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : null;
}

function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}
