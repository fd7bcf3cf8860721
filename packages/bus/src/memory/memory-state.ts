/** The state port over a MemoryBroker. Each operation takes one way to the store and back. */
import { InvalidArgumentError } from "@murakkab/kit";
import type {
  AppendOptions,
  AppendOutcome,
  DeleteOutcome,
  KeyValue,
  KeyValueEntry,
  KeyValueOptions,
  Log,
  LogEntry,
  LogInfo,
  LogOptions,
  ObjectStore,
  ReadOptions,
  State,
  StoreOptions,
  WriteOutcome,
} from "../state.ts";
import { StoreMissingError } from "../store-missing-error.ts";
import {
  checkKey,
  checkStoreName,
  checkSubject,
  checkSubjectFilter,
  subjectMatches,
} from "../subject.ts";
import type { MemoryBroker } from "./memory-broker.ts";
import type { MemoryMessaging } from "./memory-messaging.ts";
import type { MemoryBucket, MemoryLog } from "./memory-store.ts";

/** Runs `operate` at the store. The write is done when it arrives, even if the answer is lost. */
class StoreLink {
  readonly messaging: MemoryMessaging;
  private readonly broker: MemoryBroker;

  constructor(broker: MemoryBroker, messaging: MemoryMessaging) {
    this.broker = broker;
    this.messaging = messaging;
  }

  async run<T>(operate: (nowMs: number) => T): Promise<T> {
    this.messaging.assertConnected();
    await this.broker.hop();
    this.messaging.assertConnected();
    const result = operate(this.broker.clock.monotonicMs());
    await this.broker.hop();
    this.messaging.assertConnected();
    return result;
  }
}

export class MemoryState implements State {
  private readonly broker: MemoryBroker;
  private readonly link: StoreLink;

  constructor(broker: MemoryBroker, messaging: MemoryMessaging) {
    this.broker = broker;
    this.link = new StoreLink(broker, messaging);
  }

  async openKeyValue(bucket: string, options: KeyValueOptions = {}): Promise<KeyValue> {
    checkStoreName(bucket, "bucket");
    const { store } = this.broker;
    await this.link.run(() => store.bucket(bucket, options));
    const find = (): MemoryBucket =>
      store.findBucket(bucket) ?? remake(bucket, options, () => store.bucket(bucket, options));
    return new MemoryKeyValue(this.link, find);
  }

  async openLog(name: string, options: LogOptions): Promise<Log> {
    checkStoreName(name, "log");
    for (const filter of options.subjects) checkSubjectFilter(filter);
    const { store } = this.broker;
    await this.link.run(() => store.log(name, options));
    const find = (): MemoryLog =>
      store.findLog(name) ?? remake(name, options, () => store.log(name, options));
    return new MemoryLogClient(this.link, { name, subjects: options.subjects, find });
  }

  async openObjects(bucket: string): Promise<ObjectStore> {
    checkStoreName(bucket, "object store");
    const objects = await this.link.run(() => this.broker.store.objectsOf(bucket));
    return new MemoryObjects(this.link, objects);
  }
}

class MemoryKeyValue implements KeyValue {
  private readonly link: StoreLink;
  private readonly find: () => MemoryBucket;

  constructor(link: StoreLink, find: () => MemoryBucket) {
    this.link = link;
    this.find = find;
  }

  async get(key: string): Promise<KeyValueEntry | null> {
    checkKey(key);
    return this.link.run((nowMs) => this.find().get(key, nowMs));
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    const copy = this.checked(key, value);
    return this.link.run((nowMs) => this.find().put(key, copy, nowMs));
  }

  async create(key: string, value: Uint8Array): Promise<WriteOutcome> {
    return this.update(key, value, 0);
  }

  async update(key: string, value: Uint8Array, expectedRevision: number): Promise<WriteOutcome> {
    const copy = this.checked(key, value);
    return this.link.run((nowMs) => this.find().write(key, copy, { expectedRevision, nowMs }));
  }

  async delete(
    key: string,
    { expectedRevision }: { readonly expectedRevision?: number } = {},
  ): Promise<DeleteOutcome> {
    checkKey(key);
    return this.link.run((nowMs) => this.find().delete(key, { expectedRevision, nowMs }));
  }

  async keys(prefix = ""): Promise<string[]> {
    if (prefix !== "") checkKey(prefix);
    return this.link.run((nowMs) => this.find().keys(prefix, nowMs));
  }

  async recent(limit: number): Promise<KeyValueEntry[]> {
    return this.link.run((nowMs) => this.find().recent(limit, nowMs));
  }

  private checked(key: string, value: Uint8Array): Uint8Array {
    checkKey(key);
    this.link.messaging.assertSize(key, value, undefined);
    return new Uint8Array(value);
  }
}

interface MemoryLogClientOptions {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly find: () => MemoryLog;
}

class MemoryLogClient implements Log {
  private readonly link: StoreLink;
  private readonly options: MemoryLogClientOptions;

  constructor(link: StoreLink, options: MemoryLogClientOptions) {
    this.link = link;
    this.options = options;
  }

  async append(subject: string, data: Uint8Array, options?: AppendOptions): Promise<AppendOutcome> {
    checkSubject(subject);
    const { name, subjects } = this.options;
    if (!subjects.some((filter) => subjectMatches(filter, subject))) {
      throw new InvalidArgumentError(`subject ${subject} is not among those of log ${name}`);
    }
    this.link.messaging.assertSize(subject, data, options?.headers);
    const copy = new Uint8Array(data);
    return this.link.run((nowMs) => {
      const outcome = this.options.find().append(subject, copy, { ...options, nowMs });
      // The server passes it on to subscribers whatever becomes of it in the log.
      this.link.messaging.announce(subject, copy, options?.headers);
      return outcome;
    });
  }

  async read(filter: string, options: ReadOptions = {}): Promise<LogEntry[]> {
    checkSubjectFilter(filter);
    return this.link.run((nowMs) => this.options.find().read(filter, options, nowMs));
  }

  async get(sequence: number): Promise<LogEntry | null> {
    const range = { fromSequence: sequence, toSequence: sequence };
    const found = await this.link.run((nowMs) => this.options.find().read(">", range, nowMs));
    return found[0] ?? null;
  }

  async lastSequence(subject: string): Promise<number> {
    checkSubject(subject);
    return this.link.run((nowMs) => this.options.find().lastSequenceOf(subject, nowMs));
  }

  async info(): Promise<LogInfo> {
    return this.link.run((nowMs) => this.options.find().info(nowMs));
  }

  async purge(
    subject: string,
    { beforeSequence }: { readonly beforeSequence: number },
  ): Promise<void> {
    checkSubject(subject);
    await this.link.run((nowMs) => {
      this.options.find().purge(subject, beforeSequence, nowMs);
    });
  }
}

class MemoryObjects implements ObjectStore {
  private readonly link: StoreLink;
  private readonly objects: Map<string, Uint8Array>;

  constructor(link: StoreLink, objects: Map<string, Uint8Array>) {
    this.link = link;
    this.objects = objects;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    checkObjectName(name);
    const copy = new Uint8Array(data);
    await this.link.run(() => this.objects.set(name, copy));
  }

  async get(name: string): Promise<Uint8Array | null> {
    checkObjectName(name);
    const found = await this.link.run(() => this.objects.get(name));
    return found === undefined ? null : new Uint8Array(found);
  }

  async delete(name: string): Promise<void> {
    checkObjectName(name);
    await this.link.run(() => this.objects.delete(name));
  }
}

/** For a store that was deleted: S7. */
function remake<T>(name: string, options: StoreOptions, make: () => T): T {
  if (options.onMissing !== "recreate") throw new StoreMissingError(name);
  const made = make();
  options.onRecreated?.();
  return made;
}

function checkObjectName(name: string): void {
  if (name !== "" && name.length <= 512) return;
  throw new InvalidArgumentError("object name is not valid, expected 1 to 512 characters");
}
