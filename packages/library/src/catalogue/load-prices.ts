/**
 * The price table and the constants of the energy model.
 *
 * A fleet's owner replaces the file by one of their own: prices differ per contract, and the
 * shipped figures say that they are priors.
 */
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "@murakkab/kit";
import type { Provenance } from "@murakkab/model";
import { z } from "zod";
import { formatProblem } from "./problem.ts";
import { checkShape, YamlSource } from "./yaml-source.ts";

/** Joules of a host by a straight line: idle share of reserved cores plus what the work adds. */
export interface EnergyModel {
  /** Watts of one core that is fully busy, its share of the idle host included. */
  readonly busyWattsPerCore: number;
  /** Watts of one core that does nothing. At most `busyWattsPerCore`. */
  readonly idleWattsPerCore: number;
  readonly memoryWattsPerGib: number;
  readonly provenance: Provenance;
}

export interface PriceTable {
  /** Dollars per core-hour for executors that name no price. */
  readonly perCoreHourUsd: number;
  readonly provenance: Provenance;
  readonly energy: EnergyModel;
}

const provenanceSchema = z.strictObject({
  kind: z.enum(["measured", "published", "prior", "modelled"]),
  note: z.string().trim().min(1, "expected a text that says where the figures come from"),
});
const watts = z.number("expected watts, 0 or more").nonnegative("expected watts, 0 or more");

const priceFileSchema = z.strictObject({
  price: z.strictObject({
    perCoreHourUsd: z
      .number("expected dollars per core-hour, 0 or more")
      .nonnegative("expected dollars per core-hour, 0 or more"),
    provenance: provenanceSchema,
  }),
  energy: z.strictObject({
    busyWattsPerCore: watts,
    idleWattsPerCore: watts,
    memoryWattsPerGib: watts,
    provenance: provenanceSchema,
  }),
});

/**
 * Errors: `INVALID_ARGUMENT` naming file, line and field; there is no fleet without prices, so that
 * the first problem ends the start.
 */
export function loadPrices(file: string): PriceTable {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new InvalidArgumentError(`price table ${file} cannot be read`, { cause });
  }
  const source = new YamlSource(file, text);
  const table = checkShape(source, priceFileSchema);
  if (table !== null && table.energy.idleWattsPerCore > table.energy.busyWattsPerCore) {
    const message = `${table.energy.idleWattsPerCore} is more than busyWattsPerCore, expected at most ${table.energy.busyWattsPerCore}`;
    source.error(["energy", "idleWattsPerCore"], message);
  }
  const [problem] = source.problems;
  if (problem !== undefined || table === null) {
    const message = problem === undefined ? `${file}: not a price table` : formatProblem(problem);
    throw new InvalidArgumentError(message, problem === undefined ? {} : { field: problem.field });
  }
  return {
    perCoreHourUsd: table.price.perCoreHourUsd,
    provenance: table.price.provenance,
    energy: table.energy,
  };
}
