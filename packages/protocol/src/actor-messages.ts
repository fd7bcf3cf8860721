/**
 * Messages and records of keyed actors: who hosts them, and what is stored of them.
 *
 * All of them travel between our own processes: unknown fields are ignored.
 */
import { z } from "zod";

const tokenSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected 1 to 128 letters, digits, "-" or "_"');
const generationSchema = z.number().int().nonnegative();

/** To the directory: see to it that this actor has a live activation. */
export const actorActivateSchema = z.object({
  type: tokenSchema,
  key: tokenSchema,
  remainingMs: z.number().nonnegative(),
});
export type ActorActivate = z.infer<typeof actorActivateSchema>;

export const actorActivatedSchema = z.object({
  host: tokenSchema,
  generation: generationSchema,
  /** False when it was activated for this request. */
  wasActive: z.boolean(),
});
export type ActorActivated = z.infer<typeof actorActivatedSchema>;

/** From the directory to one hosting process. */
export const actorHostCommandSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("activate"),
    type: tokenSchema,
    key: tokenSchema,
    generation: generationSchema,
  }),
  /** Save and let go now; the next message activates it again, perhaps elsewhere. */
  z.object({ kind: z.literal("passivate"), type: tokenSchema, key: tokenSchema }),
]);
export type ActorHostCommand = z.infer<typeof actorHostCommandSchema>;

export const actorHostReplySchema = z.object({ wasActive: z.boolean() });

/** From every hosting process, at its beat and at once when something changes. */
export const actorHostBeatSchema = z.object({
  host: tokenSchema,
  types: z.array(tokenSchema),
  activationCount: z.number().int().nonnegative(),
  isLeaving: z.boolean(),
});
export type ActorHostBeat = z.infer<typeof actorHostBeatSchema>;

/** Which process has the activation of an address; written with compare-and-set only. */
export const actorPlacementSchema = z.object({ host: tokenSchema, generation: generationSchema });
export type ActorPlacement = z.infer<typeof actorPlacementSchema>;

/** What is stored of a durable actor; written with compare-and-set only. */
export const actorStateSchema = z.object({
  /** Of the state's own form, as the behaviour counts it. 0: nothing was saved yet. */
  version: z.number().int().nonnegative(),
  /** Of the activation that wrote it. Older ones cannot write any more. */
  generation: generationSchema,
  state: z.unknown(),
});
export type ActorState = z.infer<typeof actorStateSchema>;
