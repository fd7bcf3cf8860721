/** Goal: sizes are counted in the unit that a port names, or are not known. */
import type { SizeUnit } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { sizeOfItems, sizeOfValue, sizeUnitOf } from "../src/value-size.ts";

const inline = (value: unknown): PassedValue => ({ kind: "inline", value });
const file = (bytes: number, digit = "a") => ({
  artifact: `artifact://sha256/${digit.repeat(64)}`,
  ...{ bytes, mediaType: "x/y" },
});
const spilled: PassedValue = { kind: "spilled", artifact: file(500), count: 7 };
const item: PassedValue = { kind: "spilled", artifact: file(500), index: 2 };
const span = (startSec: unknown, endSec: unknown) => ({ startSec, endSec });

describe("size of a value", () => {
  test.each<[string, PassedValue, SizeUnit, number | null]>([
    ["a list", inline([1, 2]), "items", 2],
    ["an empty list", inline([]), "items", 0],
    ["a gathered list", { kind: "list", items: [item, item, item] }, "items", 3],
    ["a list that lies elsewhere", spilled, "items", 7],
    ["no list", inline("x"), "items", 1],
    ["one item of a list elsewhere", item, "items", 1],
    ["spans", inline([span(1, 2.5), span(4, 5)]), "sec", 2.5],
    ["one span", inline(span(1, 2)), "sec", 1],
    ["a span that ends before it starts", inline([span(3, 1)]), "sec", 0],
    ["gathered spans", { kind: "list", items: [inline(span(0, 1)), inline(span(0, 2))] }, "sec", 3],
    ["spans elsewhere", spilled, "sec", null],
    ["no spans", inline(["x"]), "sec", null],
    ["a span without an end", inline([span(1, undefined)]), "sec", null],
    ["an endless span", inline([span(1, Number.POSITIVE_INFINITY)]), "sec", null],
    ["null", inline(null), "sec", null],
    ["a file", inline(file(20)), "bytes", 20],
    ["files", inline([file(20), { frame: file(30, "b"), atSec: 1 }]), "bytes", 50],
    ["a file that is named twice", inline([file(20), file(20)]), "bytes", 20],
    ["a value elsewhere", spilled, "bytes", 500],
    ["a part of a value elsewhere", item, "bytes", null],
    ["text", inline("grün"), "bytes", 7],
    ["nothing", inline(undefined), "bytes", 4],
    ["anything", spilled, "one", 1],
  ])("%s", (_name, value, unit, size) => {
    expect(sizeOfValue(value, unit)).toBe(size);
  });

  test("of a batch, its entries count", () => {
    expect(sizeOfItems(inline([[1, 2], [3]]), "items")).toBe(3);
    expect(sizeOfItems(inline(["a", "bc"]), "bytes")).toBe(7);
    expect(sizeOfItems(inline("a"), "bytes")).toBeNull();
    expect(sizeOfItems(spilled, "bytes")).toBeNull();
  });

  test("ports that name no unit: lists by items, the rest by bytes", () => {
    expect(sizeUnitOf({ type: "list<x>" })).toBe("items");
    expect(sizeUnitOf({ type: "x" })).toBe("bytes");
    expect(sizeUnitOf({ type: "list<x>", sizeUnit: "sec" })).toBe("sec");
  });
});
