/**
 * Whether an attempt's inputs are the batch that its request says.
 *
 * Why here: an executor that got one item where it expects a list, or a list of another length,
 * would give the wrong items the right names.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import { parseInterfaceType } from "@murakkab/model";
import type { Values } from "./engine.ts";

/** Errors: `INVALID_ARGUMENT` for too many items, or where no input is a list of so many. */
export function checkBatch(entry: ExecutorEntry, inputs: Values, batchItems: number): void {
  const { id, batchMax } = entry;
  if (batchMax === undefined || entry.engine.kind !== "function") {
    throw new InvalidArgumentError(
      `executor "${id}" was given a batch of ${batchItems} items, expected one item: it takes no batches`,
      { field: "batchItems" },
    );
  }
  if (batchItems > batchMax) {
    throw new InvalidArgumentError(
      `executor "${id}" was given a batch of ${batchItems} items, expected at most ${batchMax}`,
      { field: "batchItems" },
    );
  }
  const isFannedOut = Object.entries(entry.inputs).some(([port, { type }]) => {
    const value = inputs[port];
    return !parseInterfaceType(type).isList && Array.isArray(value) && value.length === batchItems;
  });
  if (isFannedOut) return;
  throw new InvalidArgumentError(
    `no input of executor "${id}" is a list of ${batchItems} items, expected one: the request is a batch`,
    { field: "batchItems" },
  );
}
