/** What every process of a cluster is started with: the token's file, and a bus that is safe. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkBusIsSafe, isLoopback, readTokenFile } from "../src/nats/index.ts";

test("a token file must be there, long enough, and not for everyone", () => {
  const dir = mkdtempSync(join(tmpdir(), "murakkab-token-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "token");
  expect(() => readTokenFile(file)).toThrow(/cannot be read \(ENOENT\), expected the file/);
  writeFileSync(file, "0123456789abcdef\n", { mode: 0o600 });
  expect(readTokenFile(file)).toBe("0123456789abcdef");
  chmodSync(file, 0o644);
  expect(() => readTokenFile(file)).toThrow(/can be read by everyone, expected mode 600/);
  chmodSync(file, 0o600);
  writeFileSync(file, "short");
  expect(() => readTokenFile(file)).toThrow(/holds 5 characters, expected at least 16/);
});

test("a bus on another host needs credentials, wherever it stands in the list", () => {
  expect(() =>
    checkBusIsSafe("nats://127.0.0.1:4222,localhost,nats://[::1]:1", false),
  ).not.toThrow();
  expect(() => checkBusIsSafe("nats://user:secret@bus:4222", false)).not.toThrow();
  expect(() => checkBusIsSafe("nats://bus:4222", true)).not.toThrow();
  expect(() => checkBusIsSafe("127.0.0.1, bus.example:4222", false)).toThrow(
    /the bus at bus.example:4222 is not on this host and no credentials are given/,
  );
  expect(isLoopback("127.0.0.1.example.org")).toBe(false);
});
