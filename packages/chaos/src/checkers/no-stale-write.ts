/** INV4: no write of an older generation takes effect. */
import type { ChaosRecord, Checker, Finding } from "../observation.ts";
import { groupBy } from "./group-by.ts";

export const checkNoStaleWrite: Checker = (record) => [
  ...staleBatches(record),
  ...loweredGenerations(record),
];

/** Stored batches below the generation that took the partition over before them. */
function staleBatches({ batches }: ChaosRecord): readonly Finding[] {
  const findings: Finding[] = [];
  for (const group of groupBy(batches, (it) => String(it.partition)).values()) {
    let owned = { generation: 0, owner: "nobody" };
    for (const batch of group.toSorted((a, b) => a.sequence - b.sequence)) {
      if (batch.generation < owned.generation) {
        findings.push({
          atMs: batch.atMs,
          detail: `partition ${batch.partition} stored entry ${batch.sequence} of ${batch.owner} with generation ${batch.generation} after ${owned.owner} took it over with generation ${owned.generation}`,
        });
      } else if (batch.isTakeover) owned = batch;
    }
  }
  return findings;
}

/** What an agent obeyed is on its disk: it must never be less than before. */
function loweredGenerations({ obeyed }: ChaosRecord): readonly Finding[] {
  const findings: Finding[] = [];
  const highest = new Map<string, number>();
  for (const { atMs, node, generation } of obeyed) {
    const before = highest.get(node) ?? 0;
    if (generation < before) {
      findings.push({
        atMs,
        detail: `agent ${node} obeys generation ${generation} after it had obeyed ${before}`,
      });
    }
    highest.set(node, Math.max(before, generation));
  }
  return findings;
}
