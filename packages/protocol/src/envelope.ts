/**
 * What lies in an actor's mailbox subject. One envelope per message; answers are `{ value }` or
 * `{ error }`, items of a stream are `{ index, value }` and end with an empty message whose header
 * says so, or with `{ error }`.
 */
import { z } from "zod";

export const envelopeSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("ask"),
    id: z.string(),
    remainingMs: z.number().nonnegative(),
    payload: z.unknown(),
  }),
  z.object({ kind: z.literal("tell"), id: z.string(), payload: z.unknown() }),
  z.object({
    kind: z.literal("stream"),
    id: z.string(),
    remainingMs: z.number().nonnegative(),
    /** Items that the sender may send before it hears more. */
    credit: z.number().int().positive(),
    payload: z.unknown(),
  }),
  /** The sender of `id` gave up. */
  z.object({ kind: z.literal("cancel"), id: z.string() }),
  /** The reader of the stream `id` can take `credit` more items. */
  z.object({ kind: z.literal("credit"), id: z.string(), credit: z.number().int().positive() }),
]);
export type Envelope = z.infer<typeof envelopeSchema>;
