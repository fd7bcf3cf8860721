/** Tables of the profiler and of stored profiles. */

import { qualityEstimate } from "@murakkab/core";
import { profileName } from "@murakkab/library";
import type { ExecutorProfile, LinearModel, Provenance, WorkflowProfile } from "@murakkab/model";
import type { SettingFigures } from "../profiler/setting-figures.ts";
import type { Paint } from "./paint.ts";
import { renderTable } from "./table.ts";
import { printable } from "./text-width.ts";
import { formatBytes, formatCpuSec, formatDuration, formatUsd, formatWh } from "./units.ts";

export interface FiguresOptions {
  readonly columns: number;
  readonly paint: Paint;
  readonly isExecutor: boolean;
}

/** One line per setting, best first; settings on the frontier are marked. */
export function renderFigures(
  figures: readonly SettingFigures[],
  { columns, paint, isExecutor }: FiguresOptions,
): readonly string[] {
  if (figures.length === 0) return ["nothing ran"];
  const titles = [
    { title: "" },
    { title: "setting", columnsMin: 16 },
    { title: "runs", align: "right" },
    { title: isExecutor ? "result" : "quality [90 %]", align: "right" },
    { title: isExecutor ? "time" : "latency", align: "right" },
    { title: "CPU s", align: "right" },
    { title: "cost", align: "right" },
    { title: "energy", align: "right" },
    { title: "fit error", align: "right" },
  ] as const;
  const sorted = [...figures].sort(
    (a, b) => Number(b.isOnFrontier) - Number(a.isOnFrontier) || (a.cpuSec ?? 0) - (b.cpuSec ?? 0),
  );
  const rows = sorted.map((it) => [
    it.isOnFrontier ? "*" : it.stopped === null ? "" : "-",
    printable(it.setting),
    String(it.runs),
    isExecutor ? failures(it) : qualityText(it),
    it.latencyMs === null ? "n/a" : formatDuration(it.latencyMs.p50),
    formatCpuSec(it.cpuSec),
    it.costUsd === null ? "n/a" : formatUsd(it.costUsd),
    it.energyWh === null ? "n/a" : formatWh(it.energyWh),
    it.fitError === null ? "n/a" : `${Math.round(it.fitError * 100)} %`,
  ]);
  const legend = isExecutor
    ? "means per job of the step's attempts; fit error: sd of attempts about the learnt line"
    : "* no other is better and cheaper · - stopped early · means per job as if alone: steps that another setting had run count as profiles have them; latency: median; fit error: median of predictions, of jobs that shared nothing";
  return [
    ...renderTable(titles, rows, { columns, paintTitle: paint.dim }),
    paint.dim(`measured on this cluster; cost by its price table, energy modelled. ${legend}`),
  ];
}

function failures({ failedCount }: SettingFigures): string {
  return failedCount === 0 ? "ok" : `${failedCount} failed`;
}

function qualityText({ quality, failedCount }: SettingFigures): string {
  if (quality === null) return "n/a";
  const failed = failedCount === 0 ? "" : ` (${failedCount} failed)`;
  return `${quality.mean.toFixed(2)} [${quality.low.toFixed(2)}, ${quality.high.toFixed(2)}]${failed}`;
}

/** Every number of an executor's profile with unit, provenance and age. */
export function executorLines(profile: ExecutorProfile, nowMs: number): readonly string[] {
  const { runMs, cpuSec, outputSizes, memoryBytesMax, startMs, provenance } = profile;
  return [
    printable(profileName(profile)),
    `  time      ${lineText(runMs, "ms")}`,
    `  CPU       ${lineText(cpuSec, "s")}`,
    ...Object.entries(outputSizes).map(
      ([port, line]) => `  output    ${printable(port)}: ${lineText(line, "")}`,
    ),
    `  memory    ${memoryBytesMax === null ? "not known" : `at most ${formatBytes(memoryBytesMax)}`}`,
    `  start     ${startMs === null ? "not known" : formatDuration(startMs)}`,
    `  ${provenanceText(provenance, nowMs)}`,
  ];
}

export function workflowLines(profile: WorkflowProfile, nowMs: number): readonly string[] {
  return [
    profile.workflow,
    ...profile.configurations.flatMap(
      ({ configuration, byClass, feedback, sureRatio, provenance }) => [
        `  ${printable(configuration)}`,
        ...Object.entries(byClass).map(([name, labelled]) => {
          const { mean, low, high } = qualityEstimate({ labelled });
          return `    ${printable(name)}: ${mean.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}], ${digits(labelled.scoreSum)} of ${digits(labelled.count)} questions`;
        }),
        ...Object.entries(feedback).map(
          ([name, it]) =>
            `    ${printable(name)}: feedback ${digits(it.scoreSum)} of ${digits(it.count)}`,
        ),
        ...Object.entries(sureRatio ?? {}).map(
          ([name, it]) =>
            `    ${printable(name)}: draft sure in ${digits(it.scoreSum)} of ${digits(it.count)} runs`,
        ),
        `    ${provenanceText(provenance, nowMs)}`,
      ],
    ),
  ];
}

function lineText({ fixed, perUnit, spread }: LinearModel, unit: string): string {
  const amount = (value: number): string =>
    unit === "" ? digits(value) : `${digits(value)} ${unit}`;
  return `${amount(fixed)} + ${amount(perUnit)} per unit of size, ± ${Math.round(spread * 100)} %`;
}

function provenanceText({ kind, note, at, count }: Provenance, nowMs: number): string {
  const age = at === undefined ? "" : `, ${ageText(nowMs - Date.parse(at))}`;
  const observations = count === undefined ? "" : `, ${digits(count)} observations`;
  return `${kind}${observations}${age}: ${printable(note)}`;
}

function ageText(ageMs: number): string {
  const hours = ageMs / 3_600_000;
  if (hours < 1) return `${Math.max(0, Math.round(ageMs / 60_000))} min old`;
  return hours < 48 ? `${Math.round(hours)} h old` : `${Math.round(hours / 24)} days old`;
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
