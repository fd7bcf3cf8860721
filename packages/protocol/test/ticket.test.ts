/** Tickets: only the token makes them, and only for one purpose and time. */
import { expect, it } from "vitest";
import { checkTicket, isEqualSecret, makeTicket } from "../src/ticket.ts";

const TOKEN = "a-cluster-token-of-tests";

it("is valid for its purpose until its time, and for nothing else", () => {
  const ticket = makeTicket({ token: TOKEN, purpose: "upload", expiresAtWallMs: 1_000 });
  const check = (changes: Partial<Parameters<typeof checkTicket>[0]>) =>
    checkTicket({ token: TOKEN, purpose: "upload", ticket, nowWallMs: 1_000, ...changes });
  expect(ticket).toMatch(/^mkt\.upload\.1000\.[0-9a-f]{64}$/);
  expect(check({})).toBe("valid");
  expect(check({ nowWallMs: 1_001 })).toBe("expired");
  expect(check({ purpose: "download" })).toBe("invalid");
  expect(check({ token: "another-token" })).toBe("invalid");
  expect(check({ ticket: ticket.replace("1000", "9000") })).toBe("invalid");
  expect(check({ ticket: ticket.replace("upload", "download"), purpose: "download" })).toBe(
    "invalid",
  );
  expect(check({ ticket: "" })).toBe("invalid");
  expect(check({ ticket: `${ticket}0` })).toBe("invalid");
});

it("compares secrets of any length", () => {
  expect(isEqualSecret("abc", "abc")).toBe(true);
  expect(isEqualSecret("abc", "abcd")).toBe(false);
  expect(isEqualSecret("", "")).toBe(true);
});
