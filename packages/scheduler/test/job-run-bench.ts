/** One scheduler's job runs over a real dispatcher and fleet; the test answers attempts by hand. */
import type { ActorSystemPort } from "@murakkab/actor";
import { MemoryBroker } from "@murakkab/bus";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import type { ExecutorEntry, JobPlan, PlannedStep, Receipt, Submission } from "@murakkab/model";
import {
  type AttemptMeasure,
  type AttemptReply,
  type AttemptRequest,
  decode,
  type JobRecord,
  type JournaledEvent,
  type PassedValue,
} from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import { Dispatcher } from "../src/dispatcher.ts";
import { Fleet } from "../src/fleet.ts";
import { JobRun, type JobRunComponents } from "../src/job-run.ts";
import { registrationOf } from "./fleet-builder.ts";

export const inline = (value: unknown): PassedValue => ({ kind: "inline", value });
export const MEASURE: AttemptMeasure = {
  ...{ runMs: 3_600, cpuSec: 3.6, memoryBytesMax: 100 },
  ...{ startedAtMs: 0, endedAtMs: 3_600 },
};
/** A core costs a dollar per hour, so an attempt of MEASURE costs a tenth of a cent. */
const RATES = {
  ...{ pricePerCoreHourUsd: 1, busyWattsPerCore: 1 },
  ...{ idleWattsPerCore: 0, memoryWattsPerGib: 0 },
};

/** `"step.port"` is a step's output, `"in"` an input of the job. */
export function stepOf(
  step: string,
  inputs: Readonly<Record<string, string>>,
  changes: Partial<PlannedStep> = {},
): PlannedStep {
  return {
    ...{ step, capability: step, executor: step, knobs: {}, outputs: { out: "x" } },
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, text]) => {
        const [from = "", output] = text.split(".");
        return output === undefined
          ? [name, { kind: "input", input: from } as const]
          : [name, { kind: "step", step: from, output } as const];
      }),
    ),
    ...changes,
  };
}

export function planOf(steps: readonly PlannedStep[], changes: Partial<JobPlan> = {}): JobPlan {
  const last = steps.at(-1)?.step ?? "";
  return {
    ...{ workflow: "w", planner: "named", inputs: { in: "x" }, outputType: "x", notes: [], steps },
    output: { kind: "step", step: last, output: "out" },
    ...changes,
  };
}

export interface Ask {
  readonly request: AttemptRequest;
  readonly instance: string;
  /** The attempt was told to stop. */
  isAborted: boolean;
  finish(outputs: Readonly<Record<string, PassedValue>>, measure?: Partial<AttemptMeasure>): void;
  fail(code: string, changes?: { retryable?: boolean; context?: Record<string, string> }): void;
}

export interface BenchJob {
  readonly run: JobRun;
  readonly record: JobRecord;
  receipt: Receipt | null;
}

export class JobRunBench {
  readonly clock = new VirtualClock();
  readonly fleet = new Fleet(this.clock);
  readonly asks: Ask[] = [];
  readonly published: [string, unknown][] = [];
  readonly components: JobRunComponents;
  /** Answers at once with this; null: the test answers. */
  auto: ((request: AttemptRequest) => Readonly<Record<string, PassedValue>> | null) | null = null;
  private jobCount = 0;

  constructor(executors: readonly ExecutorEntry[], changes: Partial<JobRunComponents> = {}) {
    const broker = new MemoryBroker(
      { clock: this.clock, random: seededRandom("bench").stream("bus") },
      { latencyMsMax: 1 },
    );
    const bus = broker.connect("bench");
    const listener = broker.connect("agent");
    listener.messaging.subscribe("mk.v1.artifact.>", ({ subject, data, headers }) => {
      this.published.push([subject, decode(data, headers).value]);
    });
    const offer = { cpus: 64, memoryMib: 65_536 };
    const host = { ...registrationOf("n1").host, cores: 64, memoryBytes: 65_536 * 1_048_576 };
    this.fleet.register(registrationOf("n1", { offer, host: { ...host, kind: "cpu-a" } }));
    for (const executor of executors) {
      this.fleet.addInstance({ instance: `${executor.id}-1`, node: "n1", executor }).state =
        "ready";
    }
    const dispatcher = new Dispatcher({
      ...{ fleet: this.fleet, clock: this.clock, log: SILENT_LOGGER },
      starter: { want: () => undefined },
      actors: {
        ask: (...args: Parameters<ActorSystemPort["ask"]>) => this.ask(...args),
      } as ActorSystemPort,
    });
    this.components = {
      ...{ bus, dispatcher, fleet: this.fleet, clock: this.clock, log: SILENT_LOGGER },
      uplink: { put: () => Promise.reject(new Error("nothing is packed here")) },
      random: seededRandom("bench"),
      executor: (id) => executors.find((it) => it.id === id),
      publishEvent: () => undefined,
      locate: async () => [],
      ...changes,
    };
  }

  private ask(
    ...[address, message, options]: Parameters<ActorSystemPort["ask"]>
  ): Promise<unknown> {
    const request = message as AttemptRequest;
    const given = this.auto?.(request) ?? null;
    if (given !== null) return Promise.resolve({ outputs: given, measure: MEASURE });
    return new Promise((resolve, reject) => {
      const tell = (reply: AttemptReply): void => resolve(reply);
      const ask: Ask = {
        ...{ request, instance: address.key, isAborted: false },
        finish: (outputs, measure = {}) => tell({ outputs, measure: { ...MEASURE, ...measure } }),
        fail: (code, { retryable = false, context } = {}) => {
          const failure = { code, message: code, retryable };
          const wire = context === undefined ? failure : { ...failure, context };
          tell({ failure: wire, measure: MEASURE });
        },
      };
      this.asks.push(ask);
      options.giveUp?.addEventListener("abort", () => reject(options.giveUp?.reason as Error));
      options.signal?.addEventListener("abort", () => {
        ask.isAborted = true;
      });
    });
  }

  /** Starts a job, or one that goes on after `past`. */
  async start(
    plan: JobPlan,
    submission: Partial<Submission> = {},
    {
      past = [],
      ...changes
    }: Partial<JobRecord> & { readonly past?: readonly JournaledEvent[] } = {},
  ): Promise<BenchJob> {
    this.jobCount += 1;
    const jobId = submission.jobId ?? `job-${this.jobCount}`;
    const record: JobRecord = {
      submission: {
        ...{ jobId, inputs: [], slo: {}, constraints: {}, tenant: "t" },
        ...submission,
      },
      status: {
        ...{ jobId, state: "accepted", tenant: "t", description: null, workflow: "w" },
        ...{ acceptedAtMs: 0, plan, stepStates: {} },
      },
      inputValues: { in: inline("input") },
      inputGaps: [],
      holders: {},
      ...changes,
    };
    const job: BenchJob = {
      record,
      receipt: null,
      run: new JobRun(this.components, {
        ...{ record, past, firstSequence: past.length === 0 ? null : 1 },
        ...{ rates: RATES, energyMethod: "test" },
        sink: {
          append: () => Promise.resolve(1),
          add: (_entries, { resolve }) => void Promise.resolve().then(() => resolve(1)),
        },
        onTerminal: async (run) => {
          job.receipt = run.status.receipt ?? null;
        },
      }),
    };
    if (past.length === 0) {
      void job.run.accept();
      job.run.begin();
    } else job.run.resume();
    await this.pass(1);
    return job;
  }

  /** The newest ask for a step that was not answered by hand yet. */
  asked(step: string, jobId?: string): Ask {
    const found = this.asks.findLast(
      ({ request }) => request.step === step && (jobId === undefined || request.jobId === jobId),
    );
    if (found === undefined) throw new Error(`step ${step} was not sent`);
    return found;
  }

  async answer(step: string, value: unknown, measure: Partial<AttemptMeasure> = {}): Promise<void> {
    this.asked(step).finish({ out: inline(value) }, measure);
    await this.pass(1);
  }

  pass(ms: number): Promise<void> {
    let isDue = false;
    this.clock.after(ms, () => {
      isDue = true;
    });
    return this.clock.runUntil(() => isDue);
  }
}

/** Names of a run's events and their steps, in order. */
export function eventsOf(run: JobRun): readonly string[] {
  return run.past.events.map(({ event: { event, data } }) =>
    typeof data["step"] === "string" ? `${event} ${data["step"]}` : event,
  );
}
