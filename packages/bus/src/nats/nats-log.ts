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
import { readStream } from "./stream-reader.ts";

export class NatsLog implements Log {
  private readonly api: JetStreamApi;
  private readonly name: string;
  private readonly subjects: readonly string[];

  constructor(api: JetStreamApi, options: { name: string; subjects: readonly string[] }) {
    this.api = api;
    this.name = options.name;
    this.subjects = options.subjects;
  }

  async append(subject: string, data: Uint8Array, options?: AppendOptions): Promise<AppendOutcome> {
    checkSubject(subject);
    if (!this.subjects.some((filter) => subjectMatches(filter, subject))) {
      throw new InvalidArgumentError(`subject ${subject} is not among those of log ${this.name}`);
    }
    const outcome = await this.api.store({ stream: this.name, subject, data, ...options });
    if (outcome.kind === "conflict") return outcome;
    const { sequence, isDuplicate } = outcome;
    return { kind: "appended", sequence, isDuplicate };
  }

  async read(filter: string, options?: ReadOptions): Promise<LogEntry[]> {
    checkSubjectFilter(filter);
    const messages = await readStream(this.api, { stream: this.name, filter, ...options });
    return messages.map(({ subject, sequence, data }) => ({ subject, sequence, data }));
  }

  async get(sequence: number): Promise<LogEntry | null> {
    const found = await this.api.messageAt(this.name, sequence);
    return found === null ? null : { subject: found.subject, sequence, data: found.data };
  }

  async lastSequence(subject: string): Promise<number> {
    checkSubject(subject);
    // From the leader: a copy that lags would make a new owner expect too little.
    const where = { stream: this.name, subject, isDirect: false };
    return (await this.api.lastMessage(where))?.sequence ?? 0;
  }

  async info(): Promise<LogInfo> {
    const { created, state } = await this.api.call<{
      created: string;
      state: { first_seq: number; last_seq: number };
    }>(`STREAM.INFO.${this.name}`, null);
    return {
      incarnation: created,
      firstSequence: state.first_seq,
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
    await this.api.call(`STREAM.PURGE.${this.name}`, body);
  }
}
