/**
 * The nearest SLOs that could be kept, one per axis that gives way, or which bound is in the way.
 */
import { type CounterOffer, formatSlo, SLO_AXES, type Slo, type SloAxis } from "@murakkab/model";
import type { Relaxation } from "../optimize/problem.ts";
import { boundedAxes, relaxations } from "../optimize/relax.ts";
import type { CaseContext, PlanCase } from "./cases.ts";
import { materialize } from "./materialize.ts";
import type { PlanDecision } from "./plan-job.ts";

/**
 * An offer is a hair wider than what was computed, so that it holds when it is submitted again
 * and its text was rounded.
 */
const OFFER_SLACK = 1.02;

export interface OfferParts {
  /** With the wanted limits. */
  readonly cases: readonly PlanCase[];
  readonly context: CaseContext;
  readonly slo: Slo;
  /** See PlanJobRequest. */
  readonly latencyFactor: number;
  readonly workflow: string;
}

export function makeOffers({ slo: wanted, ...rest }: OfferParts): PlanDecision {
  // What is offered is numbers: a tier may come to another one next time.
  const { qualityTier: _quality, latencyTier: _latency, ...slo } = wanted;
  const parts: OfferParts = { ...rest, slo };
  const found = new Map<SloAxis, { relaxation: Relaxation; planCase: PlanCase }>();
  for (const planCase of parts.cases) {
    for (const relaxation of relaxations(planCase.problem)) {
      const known = found.get(relaxation.axis);
      if (known === undefined || relaxation.bound < known.relaxation.bound) {
        found.set(relaxation.axis, { relaxation, planCase });
      }
    }
  }
  const offers = SLO_AXES.flatMap((axis) => {
    const it = found.get(axis);
    return it === undefined ? [] : [toOffer(axis, it, parts)];
  });
  const bounds = formatSlo(parts.slo);
  if (offers.length > 0) {
    return {
      kind: "counter-offer",
      message: `no plan of workflow "${parts.workflow}" keeps ${bounds}; ${givesWay(parts, offers)}`,
      offers,
    };
  }
  return {
    kind: "rejected",
    binding: Object.keys(parts.slo).join(", "),
    message: `no plan of workflow "${parts.workflow}" keeps ${bounds}, whichever one bound gives way: loosen at least two of them`,
  };
}

/** Which bounds could give way, and which would not help: "cost or quality would have to …". */
function givesWay({ cases }: OfferParts, offers: readonly CounterOffer[]): string {
  const helping = offers.map(({ axis }) => axis);
  const bounded = new Set(cases.flatMap(({ problem }) => boundedAxes(problem)));
  const others = SLO_AXES.filter((axis) => bounded.has(axis) && !helping.includes(axis));
  const useless = others.length === 0 ? "" : `; to loosen ${others.join(" or ")} alone won't do`;
  return `${helping.join(" or ")} would have to give way${useless}`;
}

function toOffer(
  axis: SloAxis,
  { relaxation, planCase }: { readonly relaxation: Relaxation; readonly planCase: PlanCase },
  { context, slo, latencyFactor }: OfferParts,
): CounterOffer {
  const { choice } = relaxation;
  const factor = axis === "latency" ? latencyFactor : 1;
  const offered = relax(slo, axis, relaxation.bound * factor);
  const { prediction } = materialize(planCase, choice.optionIds, context, choice.totals);
  return { axis, slo: offered, sloText: formatSlo(offered), prediction };
}

function relax(slo: Slo, axis: SloAxis, bound: number): Slo {
  switch (axis) {
    case "latency":
      return { ...slo, latencyMsMax: roundUp(bound * OFFER_SLACK, 2) };
    case "cost":
      return { ...slo, costUsdMax: roundUp(bound * OFFER_SLACK, 2) };
    case "energy":
      return { ...slo, energyWhMax: roundUp(bound * OFFER_SLACK, 2) };
    case "quality":
      return { ...slo, qualityMin: Math.floor(Math.exp(-bound) * 1_000) / 1_000 };
  }
}

/** To this many significant digits, never down. */
function roundUp(value: number, digits: number): number {
  if (value <= 0) return value;
  const factor = 10 ** (digits - 1 - Math.floor(Math.log10(value)));
  // Division by a power of ten leaves digits behind that nobody meant.
  return Number((Math.ceil(value * factor) / factor).toPrecision(12));
}
