/** Goal: a dataset with a missing file or a wrong label is refused at the place. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadDataset } from "@murakkab/library";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "murakkab-dataset-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TEXT = `video: clip.mp4
questions:
  - { question: Who is it?, answers: [Anna], kind: who-where, scene: a, source: [speech], answerable: true }
  - { question: When is it?, atSec: 3, toleranceSec: 2, kind: when, scene: a, source: [speech], answerable: true }
`;

function write(text: string): string {
  const file = join(folder, "set.yaml");
  writeFileSync(join(folder, "clip.mp4"), "x");
  writeFileSync(file, text);
  return file;
}

test("a sound one gives its questions and the path of its video", () => {
  const dataset = loadDataset(write(TEXT));
  expect(dataset.video).toBe(join(folder, "clip.mp4"));
  expect(dataset.questions).toHaveLength(2);
  expect(loadDataset(write(TEXT.replace("video: clip.mp4\n", ""))).video).toBeNull();
});

test.each([
  ["answers: [Anna]", "answers: []", /set\.yaml:3 questions\.0\.answers: \[\]/],
  ["answers: [Anna]", "answers: Anna", /set\.yaml:3 questions\.0\.answers: "Anna"/],
  ["atSec: 3", "atSec: -3", /set\.yaml:4 questions\.1\.atSec: -3/],
  ["kind: who-where", "kind: who-cares", /set\.yaml:3 questions\.0\.kind: "who-cares"/],
  ["question: When is it?", "question: Who is it?", /set\.yaml:2 questions.*each question once/],
  ["video: clip.mp4", "video: clap.mp4", /set\.yaml:1 video: "clap\.mp4" is not there/],
  ["video:", "film:", /set\.yaml:1 film: unknown field "film"/],
])("%s -> %s is refused with file, line and field", (from, to, message) => {
  expect(() => loadDataset(write(TEXT.replace(from, to)))).toThrow(message);
});

test("a dataset that is not there", () => {
  expect(() => loadDataset(join(folder, "none.yaml"))).toThrow(
    expect.objectContaining({ code: "NOT_FOUND" }),
  );
});
