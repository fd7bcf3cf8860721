/** Which process has which address: the records in MK_ACTORS. */
import type { KeyValue } from "@murakkab/bus";
import type { ActorPlacement } from "@murakkab/protocol";
import { actorPlacementSchema, contentHeaders, decode, encode, validate } from "@murakkab/protocol";

export const ACTORS_BUCKET = "MK_ACTORS";
const MSGPACK = contentHeaders("msgpack");

export interface Placed extends ActorPlacement {
  readonly revision: number;
}

export class PlacementStore {
  private readonly store: KeyValue;

  constructor(store: KeyValue) {
    this.store = store;
  }

  async read(key: string): Promise<Placed | null> {
    const entry = await this.store.get(key);
    if (entry === null) return null;
    const { value } = decode(entry.value, MSGPACK);
    const placement = validate(actorPlacementSchema, value, `placement of actor ${key}`);
    return { ...placement, revision: entry.revision };
  }

  /** Null: someone else wrote it since `before` was read. */
  async replace(
    key: string,
    before: Placed | null,
    placement: ActorPlacement,
  ): Promise<Placed | null> {
    const value = encode(placement, "msgpack");
    const outcome =
      before === null
        ? await this.store.create(key, value)
        : await this.store.update(key, value, before.revision);
    return outcome.kind === "written" ? { ...placement, revision: outcome.revision } : null;
  }
}
