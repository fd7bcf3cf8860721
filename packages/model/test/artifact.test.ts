/** Goal: references are recognised wherever they are, and nothing else is. */
import {
  artifactHash,
  artifactUri,
  collectArtifactRefs,
  parseInterfaceType,
} from "@murakkab/model";
import { expect, test } from "vitest";

const HASH = "ab".repeat(32);
const REF = { artifact: artifactUri(HASH), bytes: 3, mediaType: "text/plain" };

test("references inside any value are found once, in order", () => {
  const other = { ...REF, artifact: artifactUri("cd".repeat(32)) };
  const value = [
    { frames: [{ image: REF }, { image: other }] },
    REF,
    null,
    "artifact://nothing",
    3,
  ];
  expect(collectArtifactRefs(value)).toEqual([REF, other]);
});

test("a reference that is none is named", () => {
  expect(artifactHash(REF.artifact)).toBe(HASH);
  expect(() => artifactHash("artifact://sha256/short")).toThrow(/"artifact:\/\/sha256\/short"/);
});

test("types are names or lists of names", () => {
  expect(parseInterfaceType("list<screen-text>")).toEqual({ name: "screen-text", isList: true });
  expect(parseInterfaceType("video")).toEqual({ name: "video", isList: false });
  for (const bad of ["", "List<x>", "list<list<x>>", "a b", "list<>"]) {
    expect(() => parseInterfaceType(bad)).toThrow(/expected a name such as/);
  }
});
