/** Goal: the passing function gives what it got, and nothing else. */
import { isRuntimeError } from "@murakkab/kit";
import { expect, test } from "vitest";
import { EXECUTOR_FUNCTIONS } from "../src/executor-functions.ts";
import { fakeCall } from "./video-qa/fake-call.ts";

test("hands the value on and leaves the other inputs", async () => {
  const call = fakeCall({ value: [1, "a"], second: "b" }, {});
  expect(await EXECUTOR_FUNCTIONS["pass"]?.(call)).toEqual({ value: [1, "a"] });
});

test("refuses to make a value up", async () => {
  const outcome = await EXECUTOR_FUNCTIONS["pass"]?.(fakeCall({ second: "b" }, {})).catch(
    (error: unknown) => error,
  );
  expect(isRuntimeError(outcome) && outcome.code).toBe("ENGINE_FAILED");
});
