/** Goal: G1 and G2 for any SLO and any text. */
import { formatSlo, parseSlo, SLO_TIERS, type Slo } from "@murakkab/model";
import fc from "fast-check";
import { expect, test } from "vitest";

const tier = fc.constantFrom(...SLO_TIERS);
const amount = (min: number, max: number) =>
  fc.oneof(
    fc.double({ min, max, noNaN: true }),
    fc.integer({ min: Math.ceil(min), max: Math.min(max, 200_000) }),
    fc.integer({ min: 1, max: 1_000 }).map((thousandths) => Math.max(min, thousandths / 1_000)),
  );

/** Of one axis a tier, a number or nothing. */
const axis = <T extends string, N extends string>(
  tierKey: T,
  key: N,
  numbers: fc.Arbitrary<number>,
) =>
  fc.oneof(
    fc.constant({}),
    tier.map((word) => ({ [tierKey]: word })),
    numbers.map((number) => ({ [key]: number })),
  );

const anySlo: fc.Arbitrary<Slo> = fc
  .tuple(
    axis("latencyTier", "latencyMsMax", amount(1, 7 * 24 * 3_600_000)),
    axis("qualityTier", "qualityMin", fc.double({ min: 0, max: 1, noNaN: true })),
    fc.option(amount(1e-9, 1_000_000), { nil: undefined }),
    fc.option(amount(1e-9, 1_000_000), { nil: undefined }),
  )
  .map(([latency, quality, costUsdMax, energyWhMax]) => ({
    ...latency,
    ...quality,
    ...(costUsdMax === undefined ? {} : { costUsdMax }),
    ...(energyWhMax === undefined ? {} : { energyWhMax }),
  }))
  .filter((slo) => Object.keys(slo).length > 0);

test("G2: what is written reads back as the same bounds", () => {
  fc.assert(
    fc.property(anySlo, (slo) => {
      const back = parseSlo(formatSlo(slo)) as Record<string, unknown>;
      // -0 is written as 0.
      for (const [key, value] of Object.entries(slo)) expect(back[key] === value).toBe(true);
      expect(Object.keys(back).sort()).toEqual(Object.keys(slo).sort());
    }),
    { numRuns: 1_000 },
  );
});

test("people read round amounts", () => {
  expect(
    formatSlo({ latencyMsMax: 30_000, costUsdMax: 2, energyWhMax: 0.2, qualityMin: 0.8 }),
  ).toBe("latency<30s,cost<$2,energy<0.2Wh,quality>=0.8");
  expect(formatSlo({ latencyMsMax: 120_000 })).toBe("latency<2min");
  expect(formatSlo({ latencyMsMax: 1_500 })).toBe("latency<1.5s");
  expect(formatSlo({ latencyMsMax: 5_432.1 })).toBe("latency<5.4321s");
  expect(formatSlo({ qualityTier: "good", qualityMin: 0.8 })).toBe("quality>=0.8");
  expect(formatSlo({ qualityTier: "good", latencyTier: "fair" })).toBe(
    "latency<fair,quality>=good",
  );
  expect(formatSlo({})).toBe("");
});

test("G1: any text is refused at a character of it, or taken as bounds within the limits", () => {
  const pieces = fc.constantFrom(
    ...["latency", "cost", "quality", "energy", "<", ">=", "$", "€", "1", "e9", ".", "-", "good"],
    ...["s", "ms", "Wh", "%", ",", " ", "NaN", "x"],
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 12 }).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        for (const bound of Object.values(parseSlo(text))) {
          if (typeof bound === "number") expect(bound).toBeGreaterThanOrEqual(0);
          else expect(SLO_TIERS).toContain(bound);
        }
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT", field: "slo" });
        const { position } = (error as { context: { position: number } }).context;
        expect(position).toBeGreaterThanOrEqual(1);
        expect(position).toBeLessThanOrEqual(text.length + 1);
      }
    }),
    { numRuns: 2_000 },
  );
});
