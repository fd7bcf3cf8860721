/** Goal: the shipped price table loads, and a wrong one says where. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadPrices } from "../../src/catalogue/load-prices.ts";
import { libraryFolder } from "./library-folder.ts";

const SHIPPED = join(import.meta.dirname, "../../catalogue/prices.yaml");

test("the shipped table has prices with their provenance", () => {
  const table = loadPrices(SHIPPED);
  expect(table.perCoreHourUsd).toBeGreaterThan(0);
  expect(table.provenance.kind).toBe("prior");
  expect(table.energy.busyWattsPerCore).toBeGreaterThan(table.energy.idleWattsPerCore);
  expect(table.energy.provenance.note).toContain("Cloud Carbon Footprint");
});

test("a mistake names file, line and field", () => {
  const dir = libraryFolder({ "prices.yaml": "price:\n  perCoreHourUsd: -1\n" });
  const file = join(dir, "prices.yaml");
  expect(() => loadPrices(file)).toThrow(`${file}:2 price.perCoreHourUsd: -1: expected dollars`);
});

test("a file that is not there is told", () => {
  expect(() => loadPrices("/nowhere/prices.yaml")).toThrow("/nowhere/prices.yaml cannot be read");
});
