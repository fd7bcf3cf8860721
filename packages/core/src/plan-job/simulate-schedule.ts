/**
 * When a job's last attempt ends, if cores are taken greedily: a forecast that is sharper than the
 * bound that the choice is made with.
 *
 * Model:  attempts of a step are alike; whatever is ready takes a free core at once, steps with the
 *         longest way to the end first. A step is ready when all attempts of its sources are done.
 */
export interface ScheduledStep {
  readonly step: string;
  readonly after: readonly string[];
  readonly attempts: number;
  readonly attemptMs: number;
  /** Cores of one attempt; 0 = it waits for none. */
  readonly cores: number;
}

/** Attempts that are simulated one by one; a step with more is taken in equal bundles. */
const ATTEMPTS_MAX = 256;

/** Milliseconds from the start to the end of the last step. Cost: O(attempts x steps). */
export function simulateSchedule(steps: readonly ScheduledStep[], cores: number): number {
  const tails = tailLengths(steps);
  const order = [...steps].sort(
    (a, b) => (tails.get(b.step) ?? 0) - (tails.get(a.step) ?? 0) || (a.step < b.step ? -1 : 1),
  );
  const left = new Map(steps.map((it) => [it.step, bundlesOf(it).count]));
  const running: { endMs: number; step: ScheduledStep }[] = [];
  const done = new Set<string>();
  const open = new Map(steps.map((it) => [it.step, bundlesOf(it).count]));
  let freeCores = Math.max(1, cores);
  let nowMs = 0;
  for (;;) {
    finishEmpty(order, open, done);
    let hasStarted = false;
    for (const step of order) {
      if (!isReady(step, done)) continue;
      while ((left.get(step.step) ?? 0) > 0 && step.cores <= freeCores + 1e-9) {
        left.set(step.step, (left.get(step.step) ?? 0) - 1);
        freeCores -= step.cores;
        running.push({ endMs: nowMs + bundlesOf(step).eachMs, step });
        hasStarted = true;
      }
    }
    if (running.length === 0) {
      if (hasStarted || steps.every((it) => done.has(it.step))) return nowMs;
      // A step that wants more cores than there are runs alone.
      const stuck = order.find((it) => isReady(it, done) && (left.get(it.step) ?? 0) > 0);
      if (stuck === undefined) return nowMs;
      nowMs += bundlesOf(stuck).eachMs * (left.get(stuck.step) ?? 0);
      left.set(stuck.step, 0);
      open.set(stuck.step, 0);
      continue;
    }
    running.sort((a, b) => a.endMs - b.endMs);
    const next = running.shift();
    if (next === undefined) return nowMs;
    nowMs = next.endMs;
    freeCores += next.step.cores;
    const stillOpen = (open.get(next.step.step) ?? 1) - 1;
    open.set(next.step.step, stillOpen);
    if (stillOpen === 0) done.add(next.step.step);
  }
}

/** Steps over empty lists are done once they are ready, and may make others so. */
function finishEmpty(
  steps: readonly ScheduledStep[],
  open: ReadonlyMap<string, number>,
  done: Set<string>,
): void {
  for (let sizeBefore = -1; done.size !== sizeBefore; ) {
    sizeBefore = done.size;
    for (const step of steps) {
      if (open.get(step.step) === 0 && isReady(step, done)) done.add(step.step);
    }
  }
}

function isReady(step: ScheduledStep, done: ReadonlySet<string>): boolean {
  return step.after.every((it) => done.has(it));
}

function bundlesOf({ attempts, attemptMs }: ScheduledStep): { count: number; eachMs: number } {
  if (attempts <= ATTEMPTS_MAX) return { count: attempts, eachMs: attemptMs };
  return { count: ATTEMPTS_MAX, eachMs: (attemptMs * attempts) / ATTEMPTS_MAX };
}

/** From the start of a step to the end of the job, with cores for everything. */
function tailLengths(steps: readonly ScheduledStep[]): ReadonlyMap<string, number> {
  const tails = new Map<string, number>();
  const followers = (step: string): readonly ScheduledStep[] =>
    steps.filter((it) => it.after.includes(step));
  const tailOf = (step: ScheduledStep): number => {
    const known = tails.get(step.step);
    if (known !== undefined) return known;
    const own = step.attempts === 0 ? 0 : step.attemptMs;
    const tail = own + Math.max(0, ...followers(step.step).map((it) => tailOf(it)));
    tails.set(step.step, tail);
    return tail;
  };
  for (const step of steps) tailOf(step);
  return tails;
}
