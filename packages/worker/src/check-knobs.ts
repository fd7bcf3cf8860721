/** Knob values of a request against the executor's entry. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { ExecutorEntry, KnobValues } from "@murakkab/model";
import { defaultKnobs } from "@murakkab/model";

/**
 * The request's values with the defaults of the others. Errors: `INVALID_ARGUMENT` naming the
 * knob, its value and the allowed ones.
 */
export function checkKnobs(entry: ExecutorEntry, values: KnobValues): KnobValues {
  for (const [name, value] of Object.entries(values)) {
    const knob = Object.hasOwn(entry.knobs, name) ? entry.knobs[name] : undefined;
    const field = `knobs.${name}`;
    if (knob === undefined) {
      const known = Object.keys(entry.knobs).join(", ") || "none";
      throw new InvalidArgumentError(
        `executor "${entry.id}" has no knob "${name}", expected one of ${known}`,
        { field },
      );
    }
    if (!knob.values.includes(value)) {
      const allowed = knob.values.map((item) => JSON.stringify(item)).join(", ");
      throw new InvalidArgumentError(
        `knob "${name}" of executor "${entry.id}" is ${JSON.stringify(value)}, expected one of ${allowed}`,
        { field },
      );
    }
  }
  return { ...defaultKnobs(entry), ...values };
}
