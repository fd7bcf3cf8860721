/** Goal: J1 and J2, repeats after lost answers. Method: a connection whose answers are scripted. */
import { seededRandom, TimeoutError } from "@murakkab/kit";
import { expect, test } from "vitest";
import type { BusMessage, Headers } from "../src/index.ts";
import { JetStreamApi } from "../src/nats/jetstream-api.ts";
import { parseHeaderBlock } from "../src/nats/nats-headers.ts";
import type { NatsMessaging, NatsRequestOptions } from "../src/nats/nats-messaging.ts";
import { storeMessage } from "../src/nats/store-message.ts";
import { bytes, codeOf } from "./compliance/test-bus.ts";
import { VirtualClock } from "./virtual-clock.ts";

type Script = (subject: string, headers: Headers) => unknown;

function scripted(script: Script) {
  const clock = new VirtualClock();
  const sentIds: string[] = [];
  const messaging = {
    isClosed: false,
    request: async (subject: string, _data: Uint8Array, options: NatsRequestOptions) => {
      const block = Buffer.from(options.encodedHeaders?.bytes ?? []).toString("utf8");
      const { headers } = parseHeaderBlock(block);
      const id = headers["Nats-Msg-Id"];
      if (id !== undefined) sentIds.push(id);
      const answer = script(subject, headers);
      if (answer === "lost") throw new TimeoutError("lost");
      return { data: bytes(JSON.stringify(answer)), headers: {}, subject: "_" } as BusMessage;
    },
  } as unknown as NatsMessaging;
  const api = new JetStreamApi(
    { messaging, clock, random: seededRandom(1) },
    { attemptTimeoutMs: 100, totalTimeoutMs: 2_000, inboxPrefix: "_INBOX" },
  );
  return { api, clock, sentIds };
}

const request = { stream: "S", subject: "s.a", data: bytes("x"), expectedLastSequence: 4 };
const CONFLICT = { error: { code: 400, err_code: 10071, description: "wrong last sequence: 5" } };

test("a repeat carries the id of the first attempt (J1)", async () => {
  let count = 0;
  const { api, clock, sentIds } = scripted((subject) => {
    if (subject !== "s.a") return "lost";
    count += 1;
    return count < 3 ? "lost" : { stream: "S", seq: 5, duplicate: true };
  });
  const storing = storeMessage(api, request);
  await clock.advance(2_000);
  expect(await storing).toEqual({ kind: "stored", sequence: 5, isDuplicate: false });
  expect(new Set(sentIds).size).toBe(1);
  expect(sentIds.length).toBe(3);
});

test("a conflict after a lost answer is looked up (J2)", async () => {
  for (const isOurs of [true, false]) {
    let sent = "";
    const { api, clock } = scripted((subject, headers) => {
      if (subject.startsWith("$JS.API.STREAM.MSG.GET")) {
        const id = isOurs ? sent : "someone-else";
        const hdrs = Buffer.from(`NATS/1.0\r\nNats-Msg-Id: ${id}\r\n\r\n`).toString("base64");
        return { message: { seq: 5, data: "", hdrs } };
      }
      if (sent !== "") return CONFLICT;
      sent = headers["Nats-Msg-Id"] ?? "";
      return "lost";
    });
    const storing = storeMessage(api, request);
    await clock.advance(1_000);
    const expected = isOurs
      ? { kind: "stored", sequence: 5, isDuplicate: false }
      : { kind: "conflict", lastSequence: 5 };
    expect(await storing).toEqual(expected);
  }
});

test("a conflict at the first attempt is one", async () => {
  const { api, sentIds } = scripted(() => CONFLICT);
  expect(await storeMessage(api, request)).toEqual({ kind: "conflict", lastSequence: 5 });
  expect(sentIds.length).toBe(1);
});

test("gives up when the time is over, and at once where repeating is useless", async () => {
  const lost = scripted(() => "lost");
  const storing = codeOf(storeMessage(lost.api, request));
  await lost.clock.advance(3_000);
  expect(await storing).toBe("UNAVAILABLE");
  const refused = scripted(() => ({ error: { code: 400, err_code: 10060, description: "no" } }));
  expect(await codeOf(storeMessage(refused.api, request))).toBe("STORE_REFUSED");
  const stranger = scripted(() => ({ stream: "OTHER", seq: 1 }));
  expect(await codeOf(storeMessage(stranger.api, request))).toBe("INVALID_ARGUMENT");
});

test("an attempt without an answer asks whether the stream is there at all (J3)", async () => {
  const gone = { error: { code: 404, err_code: 10059, description: "stream not found" } };
  const deleted = scripted((subject) => (subject === "$JS.API.STREAM.INFO.S" ? gone : "lost"));
  expect(await codeOf(storeMessage(deleted.api, request))).toBe("STORE_MISSING");
  const where = { stream: "S", subject: "s.a", isDirect: true };
  expect(await codeOf(deleted.api.lastMessage(where))).toBe("STORE_MISSING");
  expect(await codeOf(scripted(() => gone).api.callStream("STREAM.PURGE", "S", {}))).toBe(
    "STORE_MISSING",
  );
  // While nobody can say, the stream counts as there.
  const noLeader = { error: { code: 503, err_code: 10008, description: "no leader" } };
  const away = scripted((subject) => (subject.startsWith("$JS.API") ? noLeader : "lost"));
  const storing = codeOf(storeMessage(away.api, request));
  await away.clock.advance(3_000);
  expect(await storing).toBe("UNAVAILABLE");
});
