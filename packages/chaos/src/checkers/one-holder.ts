/** INV8: no two agents hold the same process. */
import type { Checker, Finding } from "../observation.ts";

interface Claim {
  readonly node: string;
  readonly incarnation: string | null;
}

/**
 * A process stays on the agent that started it, and on that agent's later incarnations: it is held
 * by two when another node names it, or when an earlier incarnation still does after a later one.
 */
export const checkOneHolder: Checker = ({ tables }) => {
  const claims = new Map<string, { current: Claim; readonly former: Set<string> }>();
  const findings = new Map<string, Finding>();
  for (const { atMs, node, incarnation, instances } of tables) {
    for (const { instance, process } of instances) {
      const key = process ?? instance;
      const claim = claims.get(key);
      if (claim === undefined) {
        claims.set(key, { current: { node, incarnation }, former: new Set() });
        continue;
      }
      const { current, former } = claim;
      const isStranger = current.node !== node;
      const isRevenant = incarnation !== null && former.has(incarnation);
      if (isStranger || isRevenant) {
        const whose = (it: Claim): string => `${it.node} (${it.incarnation ?? "any incarnation"})`;
        const holders = `${whose(current)} and ${whose({ node, incarnation })}`;
        const detail = `instance ${instance} (process ${process ?? "unknown"}) is held by ${holders}, expected one agent`;
        if (!findings.has(key)) findings.set(key, { atMs, detail });
      } else if (incarnation !== null && incarnation !== current.incarnation) {
        if (current.incarnation !== null) former.add(current.incarnation);
        claim.current = { node, incarnation };
      }
    }
  }
  return [...findings.values()];
};
