/** The client library's errors in our own words. */
import type { RuntimeError } from "@murakkab/kit";
import { TerminalError, UnavailableError } from "@murakkab/kit";
import { ErrorCode } from "nats";

const REFUSALS: readonly string[] = [
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.AccountExpired,
  ErrorCode.BadAuthentication,
  ErrorCode.BadCreds,
];

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** Wrong credentials and certificates stay wrong; a server that is away may come. */
export function isWorthAnotherDial(error: unknown): boolean {
  const code = codeOf(error);
  return !REFUSALS.includes(code) && !isTlsTrouble(code);
}

function isTlsTrouble(code: string): boolean {
  return (
    code === ErrorCode.Tls ||
    code.startsWith("ERR_TLS") ||
    code.startsWith("UNABLE_TO_") ||
    code.includes("SELF_SIGNED") ||
    code.startsWith("CERT_")
  );
}

export function connectFailure(error: unknown, address: string, waitedMs: number): RuntimeError {
  const code = codeOf(error);
  if (REFUSALS.includes(code)) {
    return new TerminalError(
      "UNAUTHORIZED",
      `nats-server at ${address} refused the credentials (${code.toLowerCase()})`,
      { cause: error },
    );
  }
  const reason = REASONS[code] ?? (isTlsTrouble(code) ? `TLS failed: ${code}` : textOf(error));
  const waited = waitedMs > 0 ? ` within ${waitedMs} ms` : "";
  return new UnavailableError(`cannot reach nats-server at ${address}${waited}: ${reason}`, {
    cause: error,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  [ErrorCode.ConnectionRefused]: "connection refused",
  [ErrorCode.Timeout]: "no greeting in time",
  [ErrorCode.ConnectionTimeout]: "no greeting in time",
  ENOTFOUND: "host name not found",
  EHOSTUNREACH: "host not reachable",
};

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "the connection was closed";
}
