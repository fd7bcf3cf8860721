/** What a person reads when a job is not accepted: one sentence, then what can be had instead. */
import type { CounterOffer } from "@murakkab/model";
import type { Paint } from "./paint.ts";
import { formatShare } from "./plan-facts.ts";
import { printable, wrap } from "./text-width.ts";
import { formatDuration, formatUsd, formatWh } from "./units.ts";

export interface Refusal {
  readonly message: string;
  readonly offers: readonly CounterOffer[];
  readonly binding: string | null;
}

export interface RefusalOptions {
  readonly columns: number;
  readonly paint: Paint;
  /** `--accept-offer` is a flag of `submit` only. */
  readonly canAccept: boolean;
}

export function renderRefusal(
  { message, offers, binding }: Refusal,
  { columns, paint, canAccept }: RefusalOptions,
): string[] {
  const sentence = wrap(printable(message), columns - 2);
  const head = sentence.map((line, index) =>
    index === 0 ? `${paint.yellow(binding === null ? "◇" : "✘")} ${line}` : `  ${line}`,
  );
  if (binding !== null)
    return [...head, `  ${paint.dim("binding constraint:")} ${printable(binding)}`];
  if (offers.length === 0) return [...head, "  no other bounds can be kept now"];
  const axis = printable(offers[0]?.axis ?? "");
  return [
    ...head,
    "",
    "what can be kept instead:",
    ...offers.flatMap((offer) => ["", ...offerLines(offer, { columns, paint })]),
    ...(canAccept
      ? [
          "",
          paint.dim(`submit with one of these, or add --accept-offer ${axis} to take it at once`),
        ]
      : []),
  ];
}

function offerLines(
  { axis, sloText, prediction }: CounterOffer,
  { columns, paint }: { columns: number; paint: Paint },
): string[] {
  const { latencyMs, costUsd, energyWh, quality } = prediction;
  const takes = [
    `p50 ${formatDuration(latencyMs.p50)}, p95 ${formatDuration(latencyMs.p95)}`,
    formatUsd(costUsd.p50),
    formatWh(energyWh.p50),
    quality === null
      ? "quality not known"
      : `quality ${formatShare(quality.low)} to ${formatShare(quality.high)}`,
  ];
  return [
    // Never broken or cut: it is there to be copied.
    `  ${paint.bold(`--slo ${shellQuoted(printable(sloText))}`)}`,
    ...wrap(`${printable(axis)} gives way; takes ${takes.join(", ")} (modelled)`, columns - 4).map(
      (line) => paint.dim(`    ${line}`),
    ),
  ];
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
