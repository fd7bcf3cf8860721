/** Processes that do what a test tells them. */
import { settle } from "../../../testkit/src/virtual-clock.ts";
import type {
  InstanceProcess,
  LeftWorker,
  ProcessEvents,
  ProcessExit,
  ProcessPort,
  SpawnRequest,
} from "../../src/ports.ts";

export class FakeProcess implements InstanceProcess {
  readonly request: SpawnRequest;
  readonly scratchDir: string;
  readonly signals: string[] = [];
  reapCount = 0;
  isDeaf = false;
  readonly #events: ProcessEvents;

  constructor(request: SpawnRequest, events: ProcessEvents) {
    this.request = request;
    this.scratchDir = `/scratch/${request.instance}`;
    this.#events = events;
  }

  ready(): void {
    this.#events.onReady();
  }

  status(inFlightCount: number): void {
    this.#events.onStatus({ queuedCount: 0, inFlightCount });
  }

  async exit(exit: Partial<ProcessExit>): Promise<void> {
    this.#events.onExit({ code: null, signal: null, stderrTail: "", ...exit });
    await settle();
  }

  terminate(): void {
    this.signals.push("SIGTERM");
    if (!this.isDeaf) queueMicrotask(() => void this.exit({ signal: "SIGTERM" }));
  }

  kill(): void {
    this.signals.push("SIGKILL");
    queueMicrotask(() => void this.exit({ signal: "SIGKILL" }));
  }

  reap(): Promise<void> {
    this.reapCount += 1;
    return Promise.resolve();
  }

  usage(): { cpuSec: number; memoryBytes: number } {
    return { cpuSec: 1.5, memoryBytes: 1_000 };
  }
}

export class FakeProcesses implements ProcessPort {
  readonly all: FakeProcess[] = [];
  /** What a former agent left running. */
  readonly left: SpawnRequest[] = [];
  isReadyAtOnce = true;

  spawn(request: SpawnRequest, events: ProcessEvents): InstanceProcess {
    const process = new FakeProcess(request, events);
    this.all.push(process);
    if (this.isReadyAtOnce) queueMicrotask(() => process.ready());
    return process;
  }

  recover(): Promise<readonly LeftWorker[]> {
    return Promise.resolve(
      this.left.map((request) => ({
        request,
        adopt: (events) => {
          const process = new FakeProcess(request, events);
          this.all.push(process);
          return process;
        },
      })),
    );
  }

  get last(): FakeProcess {
    const process = this.all.at(-1);
    if (process === undefined) throw new Error("nothing was spawned");
    return process;
  }
}
