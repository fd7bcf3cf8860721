/** INV1: an address has at most one live activation. */
import type { Checker, Finding } from "../observation.ts";
import { groupBy } from "./group-by.ts";

/**
 * A model instance's address is its id: two processes of one id in one look at the host are two
 * activations. A keyed actor's address may move, but only with a higher generation.
 */
export const checkOneActivation: Checker = ({ scans, activations }) => {
  const findings = new Map<string, Finding>();
  for (const { atMs, workers } of scans) {
    for (const [instance, processes] of groupBy(workers, (it) => it.instance)) {
      if (processes.length < 2 || findings.has(instance)) continue;
      const pids = processes.map(({ pid }) => pid).join(" and ");
      findings.set(instance, {
        atMs,
        detail: `instance ${instance} lives in the processes ${pids}, expected one`,
      });
    }
  }
  const placed = groupBy(activations, (it) => `${it.address} generation ${it.generation}`);
  for (const [where, group] of placed) {
    const processes = [...new Set(group.map((it) => it.process))];
    if (processes.length < 2) continue;
    findings.set(where, {
      atMs: group.find((it) => it.process !== group[0]?.process)?.atMs ?? 0,
      detail: `actor ${where} is active in ${processes.join(" and ")}, expected one process`,
    });
  }
  return [...findings.values()];
};
