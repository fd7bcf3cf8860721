/** Goal: an output reads as text where it holds text, and what is left out is said. */
import { expect, test } from "vitest";
import { outputLines } from "../src/render/render-output.ts";

test("segments with times become lines, other lists too, objects stay JSON", () => {
  const transcript = {
    words: [{ word: "the", startSec: 0.5 }],
    segments: [
      { startSec: 0.5, endSec: 2, text: "the road trip starts" },
      { startSec: 62, endSec: 64, text: "goodbye" },
    ],
  };
  expect(outputLines(transcript)).toEqual(["00:00  the road trip starts", "01:02  goodbye"]);
  expect(outputLines([{ index: 0 }, 3])).toEqual(['{"index":0}', "3"]);
  expect(outputLines({ bytes: 6 })).toEqual(["{", '  "bytes": 6', "}"]);
  expect(outputLines("a\nb")).toEqual(["a", "b"]);
  expect(outputLines(null)).toBeNull();
});

test("a long output ends with how much is left", () => {
  const lines = outputLines(Array.from({ length: 50 }, (_, index) => index)) ?? [];
  expect(lines).toHaveLength(31);
  expect(lines.at(-1)).toBe("… and 20 more lines (--json shows all)");
});
