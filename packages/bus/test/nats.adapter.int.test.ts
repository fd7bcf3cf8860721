/** Goal: what only the NATS adapter can get wrong. Method: own servers on free ports. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "@murakkab/kit";
import { SILENT_LOGGER } from "@murakkab/kit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectNats } from "../src/nats/index.ts";
import type { NatsServerProcess } from "../src/nats/server-entry.ts";
import { startNatsServer } from "../src/nats/server-entry.ts";
import { bytes, codeOf, text, until } from "./compliance/test-bus.ts";

const NO_DATA = new Uint8Array(0);
const PERMISSIONS = `
accounts: { A: { jetstream: enabled, users: [
  { user: admin, password: "p@ss:word" },
  { user: guest, password: guest, permissions: {
    publish: { allow: ["open.>", "_GUEST.>"] }, subscribe: { allow: ["_GUEST.>", "open.>"] } } }
] } }`;

let directory: string;
let server: NatsServerProcess;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "murakkab-adapter-"));
  server = await startNatsServer({
    directory: join(directory, "store"),
    extraConfig: PERMISSIONS,
    maxPayloadBytes: 4_096,
  });
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const urlOf = (userInfo: string): string => server.url.replace("//", `//${userInfo}@`);

describe("connecting", () => {
  test("user and password come from the address and are shown nowhere", async () => {
    const bus = await connectNats({ servers: urlOf("admin:p%40ss%3Aword") });
    expect(bus.description).toBe(`nats-server ${server.version} at ${server.url}`);
    expect(bus.messaging.maxPayloadBytes).toBe(4_096);
    await bus.close();
  });

  test("wrong credentials fail at once, without being repeated in the message", async () => {
    const refused = connectNats({ servers: urlOf("admin:secret"), waitForConnectMs: 60_000 });
    const error = await refused.catch((cause: unknown) => cause as Error & { code: string });
    expect(error).toMatchObject({ code: "UNAUTHORIZED" });
    expect(String((error as Error).message)).not.toContain("secret");
  });

  test("nobody listening is one sentence with the address", async () => {
    const refused = connectNats({ servers: "nats://127.0.0.1:1", waitForConnectMs: 100 });
    await expect(refused).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "cannot reach nats-server at nats://127.0.0.1:1 within 100 ms: connection refused",
    });
  });

  test("waits for a server that starts later", async () => {
    const late = await startNatsServer({ directory: join(directory, "late") });
    await late.stop();
    const connecting = connectNats({ servers: late.url, waitForConnectMs: 30_000 });
    await late.restart();
    const bus = await connecting;
    expect(await codeOf(bus.messaging.flush())).toBe("resolved");
    await bus.close();
    await late.stop();
  });
});

test("what is not permitted is logged and fails those who wait", async () => {
  const events: string[] = [];
  const log: Logger = {
    ...SILENT_LOGGER,
    warn: ({ event, subject }) => events.push(`${String(event)} ${String(subject)}`),
  };
  const guest = await connectNats({
    servers: server.url,
    user: "guest",
    password: "guest",
    inboxPrefix: "_GUEST",
    log,
  });
  const denied = guest.messaging.request("closed.x", NO_DATA, { timeoutMs: 60_000 });
  expect(await codeOf(denied)).toBe("PERMISSION_DENIED");
  expect(events).toEqual(["bus.permission-denied closed.x"]);
  guest.messaging.subscribe("closed.y", () => undefined);
  await until("the second denial", () => events.length === 2);
  guest.messaging.subscribe("open.x", ({ reply = "" }) => {
    guest.messaging.publish(reply, bytes("yes"));
  });
  const allowed = await guest.messaging.request("open.x", NO_DATA, { timeoutMs: 5_000 });
  expect(text(allowed.data)).toBe("yes");
  const bucket = guest.state.openKeyValue("b");
  expect(await codeOf(bucket)).toBe("PERMISSION_DENIED");
  await guest.close();
});

test("a store that is killed in the middle of appends loses and doubles nothing", async () => {
  const own = await startNatsServer({ directory: join(directory, "killed") });
  const bus = await connectNats({ servers: own.url, requestTimeoutMs: 200 });
  const log = await bus.state.openLog("steady", { subjects: ["st.>"], maxAgeMs: 0 });
  const store = await bus.state.openKeyValue("steady");
  const isDone: boolean[] = [];
  const append = async (): Promise<void> => {
    let expectedLastSequence = 0;
    for (let index = 0; index < 400; index += 1) {
      const options = { expectedLastSequence };
      const outcome = await log.append("st.a", bytes(String(index)), options);
      if (outcome.kind !== "appended") throw new Error(`conflict at ${index}`);
      expectedLastSequence = outcome.sequence;
      await store.put("last", bytes(String(index)));
      isDone.push(true);
    }
  };
  const appending = append();
  await until("some are stored", () => isDone.length > 100);
  await own.restart({ isKill: true });
  await appending;
  const stored = (await log.read("st.>")).map((entry) => Number(text(entry.data)));
  expect(stored).toEqual(Array.from({ length: 400 }, (_, index) => index));
  expect(text((await store.get("last"))?.value)).toBe("399");
  await bus.close();
  await own.stop();
});

test("large entries are read back in several batches", async () => {
  const own = await startNatsServer({ directory: join(directory, "large") });
  const bus = await connectNats({ servers: own.url });
  const log = await bus.state.openLog("large", { subjects: ["lg.>"], maxAgeMs: 0 });
  const entry = new Uint8Array(900_000);
  for (let index = 0; index < 30; index += 1) await log.append("lg.a", entry.fill(index));
  const stored = await log.read("lg.>");
  expect(stored.map(({ data }) => [data.length, data[0], data.at(-1)])).toEqual(
    Array.from({ length: 30 }, (_, index) => [900_000, index, index]),
  );
  await bus.close();
  await own.stop();
});

test("a deleted key leaves nothing in the stream, and other clients' markers are understood", async () => {
  const own = await startNatsServer({ directory: join(directory, "markers") });
  const bus = await connectNats({ servers: own.url });
  const store = await bus.state.openKeyValue("marks");
  await store.put("a", bytes("1"));
  await store.delete("a");
  const info = await bus.messaging.request("$JS.API.STREAM.INFO.KV_marks", NO_DATA, {
    timeoutMs: 5_000,
  });
  expect(JSON.parse(text(info.data) ?? "")).toMatchObject({ state: { messages: 0 } });
  await store.put("b", bytes("1"));
  const headers = { "KV-Operation": "DEL" };
  await bus.messaging.request("$KV.marks.b", NO_DATA, { timeoutMs: 5_000, headers });
  expect(await store.get("b")).toBeNull();
  expect(await store.keys()).toEqual([]);
  expect((await store.create("b", bytes("2"))).kind).toBe("written");
  await bus.close();
  await own.stop();
});
