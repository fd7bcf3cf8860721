/**
 * Tickets: the right to upload or download artifacts until a time, proven by the cluster token.
 *
 * Owns:      the text form `mkt.<purpose>.<expiry>.<hmac>` and its check.
 * Does not:  know who may have one (the scheduler decides), or carry the token itself.
 *
 * Invariants:
 *   T1. Without the token no valid ticket can be made, and none can be lengthened or re-purposed:
 *       purpose and expiry are part of what is signed.
 *   T2. The comparison takes the same time whatever differs.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export type TicketPurpose = "upload" | "download";

export interface TicketOptions {
  /** The cluster token. */
  readonly token: string;
  readonly purpose: TicketPurpose;
  /** Unix ms. Wall clocks of hosts differ: give minutes, not seconds. */
  readonly expiresAtWallMs: number;
}

export type TicketOutcome = "valid" | "expired" | "invalid";

const TICKET_PATTERN = /^mkt\.(upload|download)\.(\d{1,16})\.([0-9a-f]{64})$/;

export function makeTicket({ token, purpose, expiresAtWallMs }: TicketOptions): string {
  const claim = `mkt.${purpose}.${Math.floor(expiresAtWallMs)}`;
  return `${claim}.${sign(token, claim)}`;
}

export interface TicketCheck {
  readonly token: string;
  readonly purpose: TicketPurpose;
  readonly ticket: string;
  readonly nowWallMs: number;
}

/** `expired` only for a ticket that was genuine: a forged one is `invalid` whatever its time. */
export function checkTicket({ token, purpose, ticket, nowWallMs }: TicketCheck): TicketOutcome {
  const match = TICKET_PATTERN.exec(ticket);
  if (match?.[2] === undefined || match[3] === undefined) return "invalid";
  const expected = sign(token, `mkt.${match[1]}.${match[2]}`);
  const isGenuine = timingSafeEqual(Buffer.from(match[3]), Buffer.from(expected));
  if (!isGenuine || match[1] !== purpose) return "invalid";
  return nowWallMs <= Number(match[2]) ? "valid" : "expired";
}

/** Compares two secrets in a time that depends on neither content nor length. */
export function isEqualSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHmac("sha256", "mk").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function sign(token: string, claim: string): string {
  return createHmac("sha256", token).update(claim).digest("hex");
}
