/** Goal: tenants take turns, and nobody takes more than the scheduler can hold. */
import { OverloadedError } from "@murakkab/kit";
import { VirtualClock } from "@murakkab/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission } from "../src/admission.ts";
import { FairQueue } from "../src/fair-queue.ts";

const tenantName = fc.constantFrom("a", "b", "c", "d");

describe("fair queue", () => {
  test("W1, W2: due times within a tenant, turns between tenants, against a plain model", () => {
    const due = fc.nat(5);
    const command = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(fc.constant("push" as const), tenantName, due) },
      { weight: 2, arbitrary: fc.tuple(fc.constant("take" as const), tenantName, due) },
      { weight: 1, arbitrary: fc.tuple(fc.constant("remove" as const), tenantName, due) },
    );
    type Item = { readonly name: string; readonly dueAtMs: number };
    const sorted = (items: Item[]): Item[] => items.sort((a, b) => a.dueAtMs - b.dueAtMs); // stable
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const queue = new FairQueue<string>();
        let model: [string, Item[]][] = [];
        let number = 0;
        for (const [what, tenant, dueAtMs] of commands) {
          const known = model.find(([name]) => name === tenant);
          if (what === "push") {
            const item = { name: `${tenant}${(number += 1)}`, dueAtMs };
            queue.push(tenant, item.name, dueAtMs);
            if (known === undefined) model.push([tenant, [item]]);
            else {
              known[1].push(item);
              sorted(known[1]);
            }
          } else if (what === "take") {
            const first = model.shift();
            expect(queue.dueAtMs).toBe(first?.[1][0]?.dueAtMs ?? Number.POSITIVE_INFINITY);
            expect(queue.peek()).toBe(first?.[1][0]?.name);
            expect(queue.take()).toBe(first?.[1].shift()?.name);
            if (first !== undefined && first[1].length > 0) model.push(first);
          } else {
            const item = known?.[1][Math.floor(known[1].length / 2)];
            expect(queue.remove(tenant, item?.name ?? "none")).toBe(item !== undefined);
            if (known !== undefined) known[1] = known[1].filter((it) => it !== item);
            model = model.filter(([, items]) => items.length > 0);
          }
          expect(queue.count).toBe(model.reduce((sum, [, items]) => sum + items.length, 0));
          expect([...queue.all()].sort()).toEqual(
            model.flatMap(([, items]) => items.map((it) => it.name)).sort(),
          );
        }
      }),
    );
  });

  test("W2: one tenant's thousand do not delay another's one", () => {
    const queue = new FairQueue<string>();
    for (let index = 0; index < 1_000; index += 1) queue.push("flood", `f${index}`, 0);
    queue.push("small", "s", 1_000);
    expect([queue.take(), queue.take()]).toEqual(["f0", "s"]);
  });
});

describe("admission", () => {
  test("A1, A2 hold under random arrivals and ends", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.tuple(fc.boolean(), tenantName), { maxLength: 200 }),
        (activeMax, steps) => {
          const admission = new Admission(new VirtualClock(), { activeMax });
          const active = new Map<string, number>();
          for (const [isArrival, tenant] of steps) {
            const own = active.get(tenant) ?? 0;
            const total = [...active.values()].reduce((sum, it) => sum + it, 0);
            if (!isArrival) {
              if (own === 0) continue;
              admission.leave(tenant);
              active.set(tenant, own - 1);
              continue;
            }
            try {
              admission.check(tenant);
            } catch (error) {
              expect(error).toBeInstanceOf(OverloadedError);
              expect(total).toBeGreaterThanOrEqual(activeMax / 2);
              // One that has nothing is refused only when nothing is free.
              if (own === 0) expect(total).toBe(activeMax);
              continue;
            }
            admission.enter(tenant);
            active.set(tenant, own + 1);
            expect(admission.activeCount).toBeLessThanOrEqual(activeMax); // A1
            if (total >= activeMax / 2) {
              expect(own + 1).toBeLessThanOrEqual(Math.max(1, Math.ceil(activeMax / 2))); // A2
            }
          }
        },
      ),
    );
  });

  test("A3: a refusal names the bound and a time within bounds that follows the rate", () => {
    const clock = new VirtualClock();
    const admission = new Admission(clock, { activeMax: 100 });
    for (let index = 0; index < 100; index += 1) admission.enter("a");
    const waitMs = (): number => {
      try {
        admission.check("a");
      } catch (error) {
        expect((error as Error).message).toContain("100");
        return (error as OverloadedError).retryAfterMs ?? 0;
      }
      throw new Error("it was admitted");
    };
    expect(waitMs()).toBe(30_000);
    for (let index = 0; index < 50; index += 1) {
      admission.leave("a");
      admission.enter("a");
    }
    expect(waitMs()).toBeLessThan(30_000);
    expect(waitMs()).toBeGreaterThanOrEqual(100);
  });

  test("a refusal is told from the bytes alone, for the tenant that they name", () => {
    const admission = new Admission(new VirtualClock(), { activeMax: 10 });
    for (let index = 0; index < 6; index += 1) admission.enter("loud");
    const refusalOf = (value: unknown) =>
      admission.refusalOf(new TextEncoder().encode(JSON.stringify(value)));
    const refusal = JSON.parse(refusalOf({ tenant: "loud", inputs: [] }) ?? "null");
    expect(refusal.error).toMatchObject({ code: "OVERLOADED", retryable: true });
    expect(refusal.error.retryAfterMs).toBeGreaterThanOrEqual(100);
    expect(refusalOf({ tenant: "quiet" })).toBeNull();
    expect(refusalOf({ description: 'says "tenant":"loud"' })).toBeNull();
    for (let index = 0; index < 4; index += 1) admission.enter("quiet");
    expect(refusalOf({ description: "of nobody in particular" })).toContain("OVERLOADED");
    // What is no JSON object is read first: whoever reads it refuses it.
    expect(admission.refusalOf(new Uint8Array([0x81]))).toBeNull();
  });
});
