/** What a sender is told when its message is not handled, or not known to be. */
import {
  DeadlineExceededError,
  isRuntimeError,
  MailboxFullError,
  UnavailableError,
} from "@murakkab/kit";
import type { ActorAddress } from "./actor.ts";
import { addressText } from "./actor.ts";

export function deadlineError(address: ActorAddress): DeadlineExceededError {
  return new DeadlineExceededError(
    `the deadline of a request to actor ${addressText(address)} passed`,
  );
}

export function mailboxFullError(address: ActorAddress, capacity: number): MailboxFullError {
  return new MailboxFullError(
    `mailbox of actor ${addressText(address)} is full with ${capacity} messages, try again later`,
    { retryAfterMs: 100 },
  );
}

/** The sender may repeat the message without a doubt: see `isNotHandled`. */
export function notHandledError(address: ActorAddress, what: string): UnavailableError {
  return new UnavailableError(`actor ${addressText(address)} ${what}`, {
    context: { isHandled: false },
  });
}

export function leaseLapsedError(address: ActorAddress): UnavailableError {
  return new UnavailableError(
    `the lease of actor ${addressText(address)} ran out while it handled the request, which may have run`,
  );
}

/** Whether an error of an actor says that the message was not touched. */
export function isNotHandled(error: unknown): boolean {
  return isRuntimeError(error) && error.code === "UNAVAILABLE" && error.context.isHandled === false;
}
