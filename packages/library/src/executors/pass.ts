/**
 * Hands its input `value` on as its output `value`; what else it is given it only waits for.
 *
 * For workflows whose shape matters and whose work does not: joins, tests, benches.
 */
import { EngineFailedError } from "@murakkab/kit";
import type { ExecutorFunction } from "../function-executor.ts";

/** Errors: `ENGINE_FAILED` without a `value`. */
export const pass: ExecutorFunction = async ({ inputs }) => {
  const { value } = inputs;
  if (value === undefined || value === null) {
    throw new EngineFailedError('nothing to pass on, expected the input "value"');
  }
  return { value };
};
