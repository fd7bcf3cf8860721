/**
 * One open stream: runs operations on it and, where asked to, makes it anew when it was deleted.
 *
 * Invariant:
 *   G1. However many operations find the stream missing, this process makes it once, and each of
 *       them is repeated at most once.
 */
import type { Logger } from "@murakkab/kit";
import type { StoreOptions } from "../state.ts";
import { StoreMissingError } from "../store-missing-error.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import type { StreamConfig, WantedStream } from "./stream-settings.ts";
import { ensureStream } from "./stream-settings.ts";

export interface StreamGuardComponents {
  readonly api: JetStreamApi;
  readonly log: Logger;
}

export interface StreamGuardSettings {
  readonly wanted: WantedStream;
  /** Names the thing in messages, such as `bucket "leases"`. */
  readonly what: string;
  readonly options: StoreOptions;
}

export class StreamGuard {
  /** As the server has it. */
  readonly config: StreamConfig;
  private readonly components: StreamGuardComponents;
  private readonly settings: StreamGuardSettings;
  private recreation: Promise<void> | null = null;

  private constructor(
    components: StreamGuardComponents,
    settings: StreamGuardSettings & { readonly config: StreamConfig },
  ) {
    this.components = components;
    this.settings = settings;
    this.config = settings.config;
  }

  static async open(
    components: StreamGuardComponents,
    settings: StreamGuardSettings,
  ): Promise<StreamGuard> {
    const { wanted, what, options } = settings;
    const ensureOptions = { what, mayUpdate: options.mayUpdate === true };
    const { config } = await ensureStream(components.api, wanted, ensureOptions);
    return new StreamGuard(components, { ...settings, config });
  }

  get stream(): string {
    return this.settings.wanted.name;
  }

  async run<T>(operate: () => Promise<T>): Promise<T> {
    try {
      return await operate();
    } catch (error) {
      const isOurs = error instanceof StoreMissingError;
      if (!isOurs || this.settings.options.onMissing !== "recreate") throw error;
    }
    this.recreation ??= this.recreate().finally(() => {
      this.recreation = null;
    });
    await this.recreation;
    return operate();
  }

  private async recreate(): Promise<void> {
    const { api, log } = this.components;
    const { wanted, what, options } = this.settings;
    const ensured = await ensureStream(api, wanted, { what, mayUpdate: false });
    if (!ensured.wasCreated) return; // another process was faster, or an earlier repeat
    log.warn(
      { event: "store.recreated", stream: wanted.name },
      "a store that was deleted was made anew, empty",
    );
    options.onRecreated?.();
  }
}
