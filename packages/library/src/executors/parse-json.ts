/** For programs that print one JSON object whose keys are the output ports. */
import { EngineFailedError } from "@murakkab/kit";
import type { OutputParser } from "../function-executor.ts";

export const parseJson: OutputParser = ({ stdout }) => {
  let value: unknown;
  try {
    value = JSON.parse(stdout);
  } catch (cause) {
    throw new EngineFailedError("the program's output is not valid JSON", { cause });
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new EngineFailedError(
    "the program's output is no JSON object, expected one with a key per output port",
  );
};
