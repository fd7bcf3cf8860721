/** Goal: one grammar for SLOs; every error points at the character and says what was expected. */
import { parseSlo, parseSloObject, sloOutcome } from "@murakkab/model";
import { describe, expect, test } from "vitest";

function refusal(parse: () => unknown): { position: unknown; field: unknown; message: string } {
  try {
    parse();
  } catch (error) {
    const { context, field, code, message } = error as {
      context: { position: unknown };
      field: unknown;
      code: unknown;
      message: string;
    };
    expect(code).toBe("INVALID_ARGUMENT");
    return { position: context.position, field, message };
  }
  throw new Error("was taken, expected a refusal");
}

describe("what is taken", () => {
  test("text and object say the same", () => {
    const slo = { costUsdMax: 2, latencyMsMax: 30_000, energyWhMax: 0.2, qualityMin: 0.8 };
    expect(parseSlo("cost<$2,latency<=30s,energy<200mWh,quality>=80%")).toEqual(slo);
    const object = { cost: "<$2", latency: "<0.5min", energy: "<0.2Wh", quality: ">=0.8" };
    expect(parseSloObject(object)).toEqual(slo);
    expect(parseSloObject({})).toEqual({});
  });

  test.each([
    ["good", { qualityTier: "good" }],
    ["quality>=best", { qualityTier: "best" }],
    [" latency < fair , cost<0.05usd", { latencyTier: "fair", costUsdMax: 0.05 }],
    ["basic,latency<good", { qualityTier: "basic", latencyTier: "good" }],
    ["energy<1.5kWh", { energyWhMax: 1_500 }],
    ["latency<1.5h", { latencyMsMax: 5_400_000 }],
    ["cost<1e-7usd", { costUsdMax: 1e-7 }],
  ])("%s", (text, slo) => {
    expect(parseSlo(text)).toEqual(slo);
  });

  test("a tier in the object form needs no operator", () => {
    expect(parseSloObject({ quality: "good", latency: "<fair" })).toEqual({
      qualityTier: "good",
      latencyTier: "fair",
    });
  });
});

describe("what is refused, at the character", () => {
  test.each([
    ["cost<$2,speed<3s", 9, /"speed<3s".*axis "speed".*one of latency, cost, energy, quality/],
    ["latency>3s", 8, /latency < or <=/],
    ["cost<$1,cost>$2", 13, /cost < or <=/],
    ["quality<0.5", 8, /quality >= or >/],
    ["latency=3s", 8, /"=" is wrong/],
    ["latency 3s", 9, /the operator is missing/],
    ["latency", 8, /the bound is missing/],
    ["latency<", 9, /the bound is missing.*a time such as 30s/],
    ["latency<30", 11, /the unit is missing.*a time such as 30s/],
    ["latency<30parsecs", 11, /unit "parsecs" is not known/],
    ["latency<3 parsecs", 11, /unit "parsecs" is not known/],
    ["energy<5J", 9, /unit "J" is not known/],
    ["cost<€2", 6, /currency "€" is not known.*dollars such as/],
    ["cost<2eur", 7, /currency "eur" is not known/],
    ["cost<0", 6, /too small.*dollars such as/],
    ["cost<$-2", 7, /too small/],
    ["latency<-0s", 9, /too small/],
    ["latency<1e9h", 9, /too large.*to 168h/],
    ["cost<$NaN", 6, /is no amount/],
    ["latency<NaNs", 9, /is no amount/],
    ["energy<Infinity", 8, /is no amount/],
    ["cost<1e999", 6, /too large/],
    ["quality>=1.5", 10, /too large.*a number from 0 to 1/],
    ["quality>=120%", 10, /too large/],
    ["energy<-1Wh", 8, /too small/],
    ["latency<1s,latency<2s", 12, /bounded twice.*one bound on latency/],
    ["good,quality>=0.8", 6, /quality has a tier and a number/],
    ["quality>=0.8,good", 14, /quality has a tier and a number/],
    ["good,fair", 6, /bounded twice/],
    ["cost<good", 6, /cost has no tiers/],
    ["goood", 1, /"goood" is neither.*best, good, fair, basic/],
    ["cost<$2,", 9, /expected a term such as/],
    ["", 1, /expected a term such as/],
    ["constructor<1", 1, /one of latency/],
    ["latency<1constructor", 10, /unit "constructor"/],
    [`latency<${"9".repeat(300)}s`, 257, /at most 256/],
  ])("%s", (text, position, says) => {
    const { message, ...at } = refusal(() => parseSlo(text));
    expect(message).toMatch(says);
    expect(message).toContain(`at character ${position} `);
    expect(at).toEqual({ position, field: "slo" });
  });

  test.each([
    [{ latency: "<30" }, "slo.latency", 4],
    [{ latency: "<30s,cost<$1" }, "slo.latency", 4],
    [{ cost: "good" }, "slo.cost", 1],
    [{ speed: "<3s" }, "slo.speed", 1],
    [{ quality: "" }, "slo.quality", 1],
  ])("%j names the field", (bounds, field, position) => {
    const refused = refusal(() => parseSloObject(bounds as unknown as Record<string, string>));
    expect({ field: refused.field, position: refused.position }).toEqual({ field, position });
    expect(refused.message).toContain(`${field} "`);
  });

  test("a long term is not repeated in full", () => {
    const { message } = refusal(() => parseSlo(`latency<3${"x".repeat(200)}`));
    expect(message.length).toBeLessThan(260);
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
