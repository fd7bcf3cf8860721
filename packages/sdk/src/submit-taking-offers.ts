/** A submission that takes the offer on one axis when its own bounds can't hold together. */
import type { Messaging } from "@murakkab/bus";
import type { SloAxis } from "@murakkab/model";
import type { SubmitRequest } from "@murakkab/protocol";
import { JobNotAcceptedError } from "./job-reply.ts";
import {
  type SubmitRepeatOptions,
  type SubmitReply,
  submitUntilAnswered,
} from "./submit-until-answered.ts";

/**
 * An offer holds at the load of the moment, so that the next answer may be another offer. More
 * than this many say that the load grows faster than the bounds give way.
 */
const OFFERS_TAKEN_MAX = 3;

export interface OfferOptions extends SubmitRepeatOptions {
  readonly acceptOffer?: SloAxis;
}

export interface TakenSubmission {
  readonly reply: SubmitReply;
  /** What was accepted: `body`, with the bounds of the offer if one was taken. */
  readonly body: SubmitRequest;
}

/**
 * The offer is submitted under the same job id: what was not accepted left nothing behind.
 * Errors: as `submitUntilAnswered`; `JobNotAcceptedError` also when no offer is on that axis.
 */
export async function submitTakingOffers(
  messaging: Messaging,
  body: SubmitRequest,
  { acceptOffer, ...options }: OfferOptions,
): Promise<TakenSubmission> {
  let asked = body;
  let takenText = "";
  for (let takenCount = 0; ; takenCount += 1) {
    try {
      const reply = await submitUntilAnswered(messaging, asked, options);
      if (takenCount === 0 || acceptOffer === undefined) return { reply, body: asked };
      const note = `the offer on ${acceptOffer} was taken: ${takenText}`;
      return { reply: { ...reply, notes: [note, ...reply.notes] }, body: asked };
    } catch (error) {
      const isOffered = error instanceof JobNotAcceptedError && acceptOffer !== undefined;
      const offer = isOffered ? error.offerOn(acceptOffer) : undefined;
      if (offer === undefined || takenCount >= OFFERS_TAKEN_MAX) throw error;
      takenText = offer.sloText;
      asked = { ...asked, slo: takenText };
    }
  }
}
