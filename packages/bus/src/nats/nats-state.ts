/** The state port over JetStream. */
import type { Logger } from "@murakkab/kit";
import { InvalidArgumentError } from "@murakkab/kit";
import type { NatsConnection } from "nats";
import { StorageType } from "nats";
import type { KeyValue, KeyValueOptions, Log, LogOptions, ObjectStore, State } from "../state.ts";
import { checkStoreName, checkSubjectFilter } from "../subject.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import { NatsKeyValue } from "./nats-key-value.ts";
import { NatsLog } from "./nats-log.ts";
import { NatsObjects } from "./nats-objects.ts";
import { StreamGuard } from "./stream-guard.ts";
import { NANOS_PER_MS } from "./stream-settings.ts";

/** How long a log knows message ids, ms: longer than any repeat after a crash takes. */
const LOG_DUPLICATE_WINDOW_MS = 120_000;
/** A bucket's message ids only guard repeats within one operation: three of its time-outs. */
const BUCKET_DUPLICATE_WINDOW_MS = 30_000;
/** The server refuses smaller windows than this, and so shorter ages. */
const AGE_MS_MIN = 100;

export interface NatsStateComponents {
  readonly api: JetStreamApi;
  readonly connection: NatsConnection;
  readonly log: Logger;
}

export class NatsState implements State {
  private readonly api: JetStreamApi;
  private readonly connection: NatsConnection;
  private readonly log: Logger;
  private readonly replicaCount: number | undefined;

  constructor(
    components: NatsStateComponents,
    options: { readonly replicaCount?: number | undefined },
  ) {
    this.api = components.api;
    this.connection = components.connection;
    this.log = components.log;
    this.replicaCount = options.replicaCount;
  }

  async openKeyValue(bucket: string, options: KeyValueOptions = {}): Promise<KeyValue> {
    checkStoreName(bucket, "bucket");
    const what = `bucket "${bucket}"`;
    const ttlMs = options.ttlMs ?? 0;
    checkAge(ttlMs, what);
    const wanted = {
      name: `KV_${bucket}`,
      subjects: [`$KV.${bucket}.>`],
      max_msgs_per_subject: 1,
      max_bytes: -1,
      ...this.durability(ttlMs, BUCKET_DUPLICATE_WINDOW_MS),
      discard: "new",
      deny_delete: true,
      allow_rollup_hdrs: true,
    } as const;
    const guard = await StreamGuard.open(
      { api: this.api, log: this.log },
      { wanted, what, options },
    );
    return new NatsKeyValue(this.api, { bucket, guard });
  }

  async openLog(name: string, options: LogOptions): Promise<Log> {
    checkStoreName(name, "log");
    for (const filter of options.subjects) checkSubjectFilter(filter);
    const what = `log "${name}"`;
    checkAge(options.maxAgeMs, what);
    const wanted = {
      name,
      subjects: options.subjects,
      max_msgs_per_subject: -1,
      max_bytes: options.maxBytes ?? -1,
      ...this.durability(options.maxAgeMs, LOG_DUPLICATE_WINDOW_MS),
      discard: "old",
      deny_delete: false,
      allow_rollup_hdrs: false,
    } as const;
    const guard = await StreamGuard.open(
      { api: this.api, log: this.log },
      { wanted, what, options },
    );
    return new NatsLog(this.api, { name, subjects: options.subjects, guard });
  }

  async openObjects(bucket: string): Promise<ObjectStore> {
    checkStoreName(bucket, "object store");
    const library = await this.api.repeat(`opening object store ${bucket}`, async () => {
      await this.api.call("INFO", null); // so that the library does not wait for its time-out
      return this.connection
        .jetstream({ timeout: this.api.options.totalTimeoutMs / 2 })
        .views.os(bucket, { storage: StorageType.File, replicas: this.replicaCount ?? 1 });
    });
    return new NatsObjects(this.api, library, bucket);
  }

  private durability(maxAgeMs: number, windowMs: number) {
    const duplicateWindowMs = maxAgeMs > 0 ? Math.min(maxAgeMs, windowMs) : windowMs;
    return {
      max_age: maxAgeMs * NANOS_PER_MS,
      duplicate_window: duplicateWindowMs * NANOS_PER_MS,
      num_replicas: this.replicaCount,
      allow_direct: (this.replicaCount ?? 1) === 1, // a copy that lags would hide our own writes
    };
  }
}

function checkAge(ageMs: number, what: string): void {
  if (ageMs === 0 || (ageMs >= AGE_MS_MIN && Number.isFinite(ageMs))) return;
  throw new InvalidArgumentError(
    `${what} has the age limit ${ageMs} ms, expected 0 or at least ${AGE_MS_MIN} ms`,
  );
}
