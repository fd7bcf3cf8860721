/** An append-only log: one JetStream stream. */
import { InvalidArgumentError } from "@murakkab/kit";
import type {
  AppendOptions,
  AppendOutcome,
  Log,
  LogEntry,
  LogInfo,
  ReadOptions,
} from "../state.ts";
import { checkSubject, checkSubjectFilter, subjectMatches } from "../subject.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import { storeMessage } from "./store-message.ts";
import type { StreamGuard } from "./stream-guard.ts";
import { readStream } from "./stream-reader.ts";

/** Subjects of which it is known that the log takes them: an owner's partitions and some more. */
const KNOWN_SUBJECTS_MAX = 1_024;

export interface NatsLogOptions {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly guard: StreamGuard;
}

export class NatsLog implements Log {
  private readonly api: JetStreamApi;
  private readonly name: string;
  private readonly subjects: readonly string[];
  private readonly guard: StreamGuard;
  private readonly knownSubjects = new Set<string>();

  constructor(api: JetStreamApi, options: NatsLogOptions) {
    this.api = api;
    this.name = options.name;
    this.subjects = options.subjects;
    this.guard = options.guard;
  }

  async append(subject: string, data: Uint8Array, options?: AppendOptions): Promise<AppendOutcome> {
    this.checkOurs(subject);
    const request = { stream: this.name, subject, data, ...options };
    const outcome = await this.guard.run(() => storeMessage(this.api, request));
    if (outcome.kind === "conflict") return outcome;
    return { kind: "appended", sequence: outcome.sequence, isDuplicate: outcome.isDuplicate };
  }

  async read(filter: string, options?: ReadOptions): Promise<LogEntry[]> {
    checkSubjectFilter(filter);
    const request = { ...this.readRequest, filter, ...options };
    const messages = await this.guard.run(() => readStream(this.api, request));
    return messages.map(({ subject, sequence, data }) => ({ subject, sequence, data }));
  }

  async get(sequence: number): Promise<LogEntry | null> {
    if (sequence < 1) return null; // the server calls it a bad request
    const found = await this.guard.run(() => this.api.messageAt(this.name, sequence));
    return found === null ? null : { subject: found.subject, sequence, data: found.data };
  }

  async lastSequence(subject: string): Promise<number> {
    checkSubject(subject);
    // From the leader: a copy that lags would make a new owner expect too little.
    const where = { stream: this.name, subject, isDirect: false };
    return (await this.guard.run(() => this.api.lastMessage(where)))?.sequence ?? 0;
  }

  async info(): Promise<LogInfo> {
    const { created, state } = await this.guard.run(() =>
      this.api.callStream<{
        created: string;
        state: { first_seq: number; last_seq: number };
      }>("STREAM.INFO", this.name, null),
    );
    return {
      incarnation: created,
      // An empty stream that never held anything says 0.
      firstSequence: Math.max(1, state.first_seq),
      lastSequence: state.last_seq,
    };
  }

  async purge(
    subject: string,
    { beforeSequence }: { readonly beforeSequence: number },
  ): Promise<void> {
    checkSubject(subject);
    if (beforeSequence <= 1) return; // the server takes 0 for "everything"
    const body = { filter: subject, seq: beforeSequence };
    await this.guard.run(() => this.api.callStream("STREAM.PURGE", this.name, body));
  }

  private get readRequest() {
    return { stream: this.name, isReplicated: this.guard.config.num_replicas > 1 };
  }

  private checkOurs(subject: string): void {
    if (this.knownSubjects.has(subject)) return;
    checkSubject(subject);
    if (!this.subjects.some((filter) => subjectMatches(filter, subject))) {
      throw new InvalidArgumentError(`subject ${subject} is not among those of log ${this.name}`);
    }
    if (this.knownSubjects.size >= KNOWN_SUBJECTS_MAX) this.knownSubjects.clear();
    this.knownSubjects.add(subject);
  }
}
