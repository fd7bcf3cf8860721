/** How several agents on one host divide its cores and memory. */
import { availableParallelism, totalmem } from "node:os";
import { InvalidArgumentError } from "@murakkab/kit";
import type { NodeOffer } from "@murakkab/model";

export interface Host {
  readonly cores: number;
  readonly memoryBytes: number;
}

/** Left to the operating system, the bus, the scheduler and the agents themselves. */
const RESERVE_RATIO = 0.1;
/** Why 1 GiB: what they really need; more would be wasted on large hosts. */
const RESERVE_BYTES_MAX = 1024 ** 3;
/** More agents than this on one host are a mistake. */
export const AGENT_COUNT_MAX = 64;

/** Cores and memory that this process may use: a container's limit counts, not the machine. */
export function thisHost(): Host {
  const limit = process.constrainedMemory();
  // Without a limit Linux answers 0 or a number beyond any real memory.
  const isLimited = limit !== undefined && limit > 0 && limit < totalmem();
  return { cores: availableParallelism(), memoryBytes: isLimited ? limit : totalmem() };
}

/**
 * Whole cores while there is at least one for each agent (the first ones get the rest), equal
 * fractions otherwise; the sum never exceeds the host's cores.
 * Errors: `INVALID_ARGUMENT` for a count out of range.
 */
export function shareHost(host: Host, agentCount: number): NodeOffer[] {
  if (!Number.isInteger(agentCount) || agentCount < 1 || agentCount > AGENT_COUNT_MAX) {
    throw new InvalidArgumentError(
      `agents is ${agentCount}, expected a whole number from 1 to ${AGENT_COUNT_MAX}`,
      { field: "agents" },
    );
  }
  const reserveBytes = Math.min(host.memoryBytes * RESERVE_RATIO, RESERVE_BYTES_MAX);
  const memoryMib = Math.floor((host.memoryBytes - reserveBytes) / agentCount / 1024 ** 2);
  const whole = Math.floor(host.cores / agentCount);
  const left = host.cores - whole * agentCount;
  return Array.from({ length: agentCount }, (_, index) => ({
    cpus:
      whole === 0
        ? Math.floor((host.cores / agentCount) * 100) / 100
        : whole + (index < left ? 1 : 0),
    memoryMib,
  }));
}
