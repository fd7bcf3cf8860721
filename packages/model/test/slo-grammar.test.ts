/** Goal: one grammar for SLOs; every error points at the character and says what was expected. */
import { parseSlo, parseSloObject, sloOutcome } from "@murakkab/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

describe("parseSlo", () => {
  test("text and object say the same", () => {
    const slo = { costUsdMax: 2, latencyMsMax: 30_000, energyWhMax: 0.2, qualityMin: 0.8 };
    expect(parseSlo("cost<$2, latency<=30s,energy<200mWh,quality>=80%")).toEqual(slo);
    const object = { cost: "<$2", latency: "<0.5min", energy: "<0.2Wh", quality: ">=0.8" };
    expect(parseSloObject(object)).toEqual(slo);
    expect(parseSloObject({})).toEqual({});
  });

  test.each([
    ["cost<$2,speed<3s", /"speed<3s" at character 9 .*one of latency, cost, energy, quality/],
    ["latency>3s", /character 1 .*latency < or <=/],
    ["latency<3 parsecs", /a time such as 30s/],
    ["cost<€2", /dollars such as/],
    ["cost<0", /dollars such as/],
    ["quality>=1.5", /a number from 0 to 1/],
    ["energy<-1Wh", /an energy such as/],
    ["latency<1s,latency<2s", /character 12 .*one bound on latency/],
    ["", /expected a term such as/],
    ["constructor<1", /expected one of/],
  ])("%s", (text, says) => {
    expect(() => parseSlo(text)).toThrow(says);
  });

  test("any text either parses to positive bounds or is refused as INVALID_ARGUMENT", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          for (const bound of Object.values(parseSlo(text)))
            expect(bound).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toMatchObject({ code: "INVALID_ARGUMENT", field: "slo" });
        }
      }),
    );
  });
});

test("the outcome judges only what was asked, and quality is not known", () => {
  const actual = { latencyMs: 900, costUsd: 0.1, energyWh: 2 };
  expect(sloOutcome({ latencyMsMax: 1_000, energyWhMax: 1, qualityMin: 0.5 }, actual)).toEqual({
    latency: true,
    energy: false,
    quality: null,
  });
  expect(sloOutcome({}, actual)).toEqual({});
});
