/**
 * Tells when a configuration is demoted, and when it has recovered: on the crossing, once.
 *
 * Does not: decide (see `QualityModel.demotion`).
 */
import type { QualityEstimate } from "@murakkab/model";
import type { QualityModel } from "./quality-model.ts";

export type QualityEvent =
  | {
      readonly kind: "configuration-demoted";
      readonly workflow: string;
      readonly configuration: string;
      /** Null: over all classes of questions. */
      readonly questionClass: string | null;
      readonly promised: number;
      readonly believed: QualityEstimate;
    }
  | {
      readonly kind: "configuration-recovered";
      readonly workflow: string;
      readonly configuration: string;
      readonly questionClass: string | null;
    };

export class DemotionWatch {
  /** Workflow to its demoted configurations and classes. */
  private readonly demoted = new Map<string, ReadonlyMap<string, QualityEvent>>();

  /** What changed since the last call for this workflow; the first call tells all. */
  update(workflow: string, model: QualityModel): readonly QualityEvent[] {
    const before = this.demoted.get(workflow) ?? new Map<string, QualityEvent>();
    const now = new Map<string, QualityEvent>(
      model
        .demotions()
        .map((demotion) => [
          `${demotion.configuration}\n${demotion.questionClass ?? ""}`,
          { kind: "configuration-demoted", workflow, ...demotion },
        ]),
    );
    this.demoted.set(workflow, now);
    const fell = [...now].filter(([key]) => !before.has(key)).map(([, event]) => event);
    const rose = [...before]
      .filter(([key]) => !now.has(key))
      .map(([, { configuration, questionClass }]): QualityEvent => {
        return { kind: "configuration-recovered", workflow, configuration, questionClass };
      });
    return [...fell, ...rose];
  }
}
