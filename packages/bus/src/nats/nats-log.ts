/** An append-only log: one JetStream stream. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { AppendOptions, AppendOutcome, Log, LogEntry } from "../state.ts";
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

  async read(filter: string, options?: { readonly fromSequence?: number }): Promise<LogEntry[]> {
    checkSubjectFilter(filter);
    const messages = await readStream(this.api, { stream: this.name, filter, ...options });
    return messages.map(({ subject, sequence, data }) => ({ subject, sequence, data }));
  }
}
