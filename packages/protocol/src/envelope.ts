/**
 * What lies in an actor's mailbox subject. One envelope per message; answers are `{ value }` or
 * `{ error }`, items of a stream are `{ index, value }` and end with an empty message whose header
 * says so, or with `{ error }`.
 */
import { z } from "zod";
import { validate } from "./validate.ts";

export const PRIORITIES = ["high", "normal", "low"] as const;
/** Which of the waiting messages is handled first. Absent means normal. */
export type Priority = (typeof PRIORITIES)[number];
const prioritySchema = z.enum(PRIORITIES).exactOptional();

export const envelopeSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("ask"),
    /** Repeats of one ask carry the same id: the receiver treats them as one. */
    id: z.string(),
    remainingMs: z.number().nonnegative(),
    priority: prioritySchema,
    /** The id is the sender's own: repeats may come long after the answer. */
    isNamed: z.boolean().exactOptional(),
    payload: z.unknown(),
  }),
  /** With a reply subject it is answered once it waits in the mailbox, before it is handled. */
  z.object({
    kind: z.literal("tell"),
    id: z.string(),
    priority: prioritySchema,
    isNamed: z.boolean().exactOptional(),
    payload: z.unknown(),
  }),
  z.object({
    kind: z.literal("stream"),
    id: z.string(),
    remainingMs: z.number().nonnegative(),
    /** Items that the sender may send before it hears more. */
    credit: z.number().int().positive(),
    priority: prioritySchema,
    payload: z.unknown(),
  }),
  /** The sender of `id` gave up. */
  z.object({ kind: z.literal("cancel"), id: z.string() }),
  /** The reader of the stream `id` can take `credit` more items. */
  z.object({ kind: z.literal("credit"), id: z.string(), credit: z.number().int().positive() }),
  /** Is the ask `id` still being worked on here? Answered with `{ value: boolean }`. */
  z.object({ kind: z.literal("probe"), id: z.string() }),
]);
export type Envelope = z.infer<typeof envelopeSchema>;

/**
 * Checks an envelope that arrived. The usual ask is checked by hand: zod takes longer for it than
 * all other work on a small message together. Errors: `INVALID_ARGUMENT`.
 */
export function readEnvelope(value: unknown): Envelope {
  return isAsk(value) ? value : validate(envelopeSchema, value, "actor envelope");
}

function isAsk(value: unknown): value is Extract<Envelope, { kind: "ask" }> {
  if (value === null || typeof value !== "object") return false;
  const ask = value as Partial<Record<keyof Extract<Envelope, { kind: "ask" }>, unknown>>;
  return (
    ask.kind === "ask" &&
    typeof ask.id === "string" &&
    typeof ask.remainingMs === "number" &&
    ask.remainingMs >= 0 &&
    ask.priority === undefined &&
    ask.isNamed === undefined &&
    "payload" in ask
  );
}
