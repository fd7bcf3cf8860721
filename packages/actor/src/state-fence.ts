/**
 * The stored state of one activation, and its right to write it.
 *
 * Owns:      the record in MK_ACTOR_STATE, the revision to expect, the order of writes.
 * Does not:  decide who owns an address (actor-directory.ts) or what the state means.
 *
 * Invariants:
 *   F1. After `load` of generation g no write of a generation below g succeeds: `load` writes g into
 *       the record, and every write expects the revision of the one before it.
 *   F2. Among activations of one generation (one process, one after the other) the youngest writes.
 *   F3. A write whose answer was lost is never guessed: the next one reads the record first.
 */
import type { KeyValue, KeyValueEntry } from "@murakkab/bus";
import { StaleGenerationError, UnavailableError, UnsupportedVersionError } from "@murakkab/kit";
import type { ActorState } from "@murakkab/protocol";
import { actorStateSchema, contentHeaders, decode, encode, validate } from "@murakkab/protocol";

export const ACTOR_STATE_BUCKET = "MK_ACTOR_STATE";
/** Times that `load` competes for the record before it tells the asker to try again. */
const LOAD_TRIES_MAX = 8;
const MSGPACK = contentHeaders("msgpack");

export interface StoredState {
  readonly state: unknown;
  readonly version: number;
}

export interface StateFenceOptions {
  /** `<type>.<key>` */
  readonly key: string;
  readonly generation: number;
  readonly version: number;
}

export class StateFence {
  private readonly store: KeyValue;
  private readonly options: StateFenceOptions;
  private revision = 0;
  private isUncertain = true;
  private lastWrite: Promise<void> | null = null;

  constructor(store: KeyValue, options: StateFenceOptions) {
    this.store = store;
    this.options = options;
  }

  /**
   * What is stored, after which older generations cannot write (F1). Null: nothing was saved yet.
   * Errors: `STALE_GENERATION`, `UNSUPPORTED_VERSION`, `UNAVAILABLE`.
   */
  async load(): Promise<StoredState | null> {
    const { key, generation, version } = this.options;
    for (let tries = 0; tries < LOAD_TRIES_MAX; tries += 1) {
      const entry = await this.store.get(key);
      const stored = entry === null ? null : readActorState(entry);
      this.assertNotStale(stored);
      if (stored !== null && stored.version > version) {
        throw new UnsupportedVersionError(
          `state of actor ${key} has version ${stored.version}, this process knows up to ${version}`,
        );
      }
      const isOurs = stored?.generation === generation;
      if (isOurs || (await this.write(entry, stored?.state, stored?.version ?? 0))) {
        if (isOurs) this.revision = entry?.revision ?? 0;
        this.isUncertain = false;
        const hasState = stored !== null && stored.version > 0;
        return hasState ? { state: stored.state, version: stored.version } : null;
      }
    }
    throw new UnavailableError(`state of actor ${key} is contended, generation ${generation}`);
  }

  /** Saves follow each other. Errors: `STALE_GENERATION`, `UNAVAILABLE`, `INVALID_ARGUMENT`. */
  save(dehydrate: () => unknown): Promise<void> {
    const write = (): Promise<void> => this.saveNow(dehydrate);
    const result = this.lastWrite === null ? write() : this.lastWrite.then(write, write);
    this.lastWrite = result;
    const forget = (): void => {
      if (this.lastWrite === result) this.lastWrite = null;
    };
    result.then(forget, forget);
    return result;
  }

  private async saveNow(dehydrate: () => unknown): Promise<void> {
    const { key, version } = this.options;
    const state = await dehydrate();
    let expected: Pick<KeyValueEntry, "revision"> | null =
      this.revision === 0 ? null : { revision: this.revision };
    if (this.isUncertain) {
      const entry = await this.store.get(key); // F3
      this.assertNotStale(entry === null ? null : readActorState(entry));
      expected = entry;
    }
    this.isUncertain = true;
    if (!(await this.write(expected, state, version))) throw this.staleError();
    this.isUncertain = false;
  }

  private async write(
    expected: Pick<KeyValueEntry, "revision"> | null,
    state: unknown,
    version: number,
  ): Promise<boolean> {
    const { key, generation } = this.options;
    const value = encodeActorState({ version, generation, state });
    const outcome =
      expected === null
        ? await this.store.create(key, value)
        : await this.store.update(key, value, expected.revision);
    if (outcome.kind === "written") this.revision = outcome.revision;
    return outcome.kind === "written";
  }

  private assertNotStale(stored: ActorState | null): void {
    if (stored !== null && stored.generation > this.options.generation) {
      throw this.staleError(stored.generation);
    }
  }

  private staleError(newerGeneration?: number): StaleGenerationError {
    const { key, generation } = this.options;
    return new StaleGenerationError(
      `actor ${key} of generation ${generation} may not write: a newer activation owns the address`,
      { context: { generation, ...(newerGeneration === undefined ? {} : { newerGeneration }) } },
    );
  }
}

export function encodeActorState(record: ActorState): Uint8Array {
  return encode(record, "msgpack");
}

export function readActorState(entry: KeyValueEntry): ActorState {
  const { value } = decode(entry.value, MSGPACK);
  return validate(actorStateSchema, value, `state of actor ${entry.key}`);
}
