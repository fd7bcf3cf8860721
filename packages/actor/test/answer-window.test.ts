/** Goal: W1 to W3 of the answers that are kept, and that what is still worked on is never dropped. */
import { UnavailableError } from "@murakkab/kit";
import { expect, test } from "vitest";
import { AnswerWindow } from "../src/answer-window.ts";
import type { Incoming, Result } from "../src/incoming.ts";

function message(id: string): Incoming & { readonly answers: Result[] } {
  const answers: Result[] = [];
  const done = (result: Result): void => void answers.push(result);
  return { id, kind: "ask", payload: null, remainingMs: 1_000, done, answers };
}

test("W1: repeats wait for the first one's answer, however many messages come in between", () => {
  const window = new AnswerWindow(4);
  const first = message("slow");
  expect(window.join(first, 0)).toBe(false);
  for (let n = 0; n < 100; n += 1) {
    const other = message(`m${n}`);
    expect(window.join(other, n)).toBe(false);
    window.settle(other, { value: n });
  }
  const repeat = message("slow");
  expect(window.join(repeat, 100)).toBe(true);
  expect(repeat.answers).toEqual([]);
  window.settle(first, { value: "done" });
  expect(repeat.answers).toEqual([{ value: "done" }]);
  const late = message("slow");
  expect(window.join(late, 101)).toBe(true);
  expect(late.answers).toEqual([{ value: "done" }]);
});

test("W2: the last ones are kept, and not for ever", () => {
  const window = new AnswerWindow(4);
  for (let n = 0; n < 20; n += 1) {
    const it = message(`m${n}`);
    window.join(it, n);
    window.settle(it, { value: n });
  }
  for (let n = 16; n < 20; n += 1) expect(window.join(message(`m${n}`), 20)).toBe(true);
  expect(window.join(message("m0"), 20)).toBe(false);
  expect(window.sweep(40, 10)).toBe(false); // m0 is being worked on again
  window.settle(message("m0"), { value: 0 });
  expect(window.sweep(40, 10)).toBe(true);
});

test("W3: after a retryable error the repeat tries again", () => {
  const window = new AnswerWindow(4);
  window.join(message("a"), 0);
  window.settle(message("a"), { error: new UnavailableError("not now") });
  expect(window.join(message("a"), 1)).toBe(false);
});
