/** Goal: both adapters keep B1 to B4. Method: real connections, conditions instead of pauses. */
import { afterEach, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus.ts";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text, until } from "./test-bus.ts";

const NO_DATA = new Uint8Array(0);

export function messagingCompliance(testBus: () => TestBus): void {
  const buses: Bus[] = [];
  const connect = async (name?: string): Promise<Bus> => {
    const bus = await testBus().connect(name);
    buses.push(bus);
    return bus;
  };
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
  });

  describe("requests (B1)", () => {
    test("an answer arrives with data and headers", async () => {
      const [server, client] = [await connect(), await connect()];
      server.messaging.subscribe("b1.echo", (message) => {
        server.messaging.publish(message.reply ?? "", message.data, {
          headers: { "X-Got": message.headers["X-Sent"] ?? "", "X-Umlaut": "ü: ä" },
        });
      });
      await server.messaging.flush();
      const reply = await client.messaging.request("b1.echo", bytes("hé"), {
        timeoutMs: 5_000,
        headers: { "X-Sent": "a:b" },
      });
      expect(text(reply.data)).toBe("hé");
      expect(reply.headers).toEqual({ "X-Got": "a:b", "X-Umlaut": "ü: ä" });
    });

    test("an empty answer without headers is an answer", async () => {
      const bus = await connect();
      bus.messaging.subscribe("b1.empty", (message) => {
        bus.messaging.publish(message.reply ?? "", NO_DATA);
      });
      const reply = await bus.messaging.request("b1.empty", NO_DATA, { timeoutMs: 5_000 });
      expect(reply.data.length).toBe(0);
      expect(reply.headers).toEqual({});
    });

    test("nobody there fails at once, nobody answering by time-out", async () => {
      const bus = await connect();
      const startMs = performance.now();
      const nobody = bus.messaging.request("b1.nobody", NO_DATA, { timeoutMs: 60_000 });
      expect(await codeOf(nobody)).toBe("NO_RESPONDERS");
      expect(performance.now() - startMs).toBeLessThan(10_000);
      bus.messaging.subscribe("b1.silent", () => undefined);
      const silent = bus.messaging.request("b1.silent", NO_DATA, { timeoutMs: 60 });
      expect(await codeOf(silent)).toBe("TIMEOUT");
    });

    test("deadlines are kept whatever their order", async () => {
      const bus = await connect();
      bus.messaging.subscribe("b1.order", () => undefined);
      const ended: number[] = [];
      const wait = async (timeoutMs: number): Promise<void> => {
        const request = bus.messaging.request("b1.order", NO_DATA, { timeoutMs });
        expect(await codeOf(request)).toBe("TIMEOUT");
        ended.push(timeoutMs);
      };
      await Promise.all([wait(300), wait(30), wait(150)]);
      expect(ended).toEqual([30, 150, 300]);
    });

    test("a signal cancels before and during", async () => {
      const bus = await connect();
      bus.messaging.subscribe("b1.abort", () => undefined);
      const abort = new AbortController();
      const options = { timeoutMs: 60_000, signal: abort.signal };
      const during = codeOf(bus.messaging.request("b1.abort", NO_DATA, options));
      abort.abort();
      expect(await during).toBe("CANCELLED");
      expect(await codeOf(bus.messaging.request("b1.abort", NO_DATA, options))).toBe("CANCELLED");
    });

    test("closing ends those who wait", async () => {
      const bus = await testBus().connect();
      bus.messaging.subscribe("b1.close", () => undefined);
      const waiting = codeOf(bus.messaging.request("b1.close", NO_DATA, { timeoutMs: 60_000 }));
      await bus.messaging.flush();
      await bus.close();
      expect(await waiting).toBe("UNAVAILABLE");
      const after = bus.messaging.request("b1.close", NO_DATA, { timeoutMs: 60_000 });
      expect(await codeOf(after)).toBe("UNAVAILABLE");
    });

    test("many at a time each get their own answer", async () => {
      const [server, client] = [await connect(), await connect()];
      server.messaging.subscribe("b1.many", (message) => {
        server.messaging.publish(message.reply ?? "", message.data);
      });
      await server.messaging.flush();
      const asked = Array.from({ length: 500 }, (_, index) => `question ${index}`);
      const replies = await Promise.all(
        asked.map((question) =>
          client.messaging.request("b1.many", bytes(question), { timeoutMs: 10_000 }),
        ),
      );
      expect(replies.map((reply) => text(reply.data))).toEqual(asked);
    });
  });

  describe("subscriptions (B2, B3)", () => {
    test("wildcards take what they should", async () => {
      const bus = await connect();
      const got: string[] = [];
      for (const filter of ["w.*.c", "w.>", "w.a.b"]) {
        bus.messaging.subscribe(filter, ({ subject }) => got.push(`${filter} ${subject}`));
      }
      for (const subject of ["w.a.b", "w.a.c", "w.a.b.c", "w"]) {
        bus.messaging.publish(subject, NO_DATA);
      }
      await until("all arrived", () => got.length >= 5);
      await bus.messaging.flush();
      expect(got.sort()).toEqual(
        ["w.*.c w.a.c", "w.> w.a.b", "w.> w.a.b.c", "w.> w.a.c", "w.a.b w.a.b"].sort(),
      );
    });

    test("a queue group delivers each message to one member", async () => {
      const [one, two, sender] = [await connect(), await connect(), await connect()];
      const got: [string[], string[], string[]] = [[], [], []];
      const options = { queueGroup: "workers" };
      one.messaging.subscribe(
        "q.work",
        (message) => got[0].push(text(message.data) ?? ""),
        options,
      );
      two.messaging.subscribe(
        "q.work",
        (message) => got[1].push(text(message.data) ?? ""),
        options,
      );
      two.messaging.subscribe("q.work", (message) => got[2].push(text(message.data) ?? ""));
      await one.messaging.flush();
      await two.messaging.flush();
      const sent = Array.from({ length: 100 }, (_, index) => String(index));
      for (const item of sent) sender.messaging.publish("q.work", bytes(item));
      await until("all arrived", () => got[0].length + got[1].length + got[2].length === 200);
      expect([...got[0], ...got[1]].sort()).toEqual([...sent].sort());
      expect(got[2]).toEqual(sent);
      expect(Math.min(got[0].length, got[1].length)).toBeGreaterThan(0);
    });

    test("messages of one publisher arrive in order", async () => {
      const [sender, receiver] = [await connect(), await connect()];
      const got: number[] = [];
      receiver.messaging.subscribe("o.seq", ({ data }) => got.push(Number(text(data))));
      await receiver.messaging.flush();
      const sent = Array.from({ length: 2_000 }, (_, index) => index);
      for (const item of sent) sender.messaging.publish("o.seq", bytes(String(item)));
      await until("all arrived", () => got.length === sent.length);
      expect(got).toEqual(sent);
    });

    test("nothing arrives after unsubscribe", async () => {
      const bus = await connect();
      const got: string[] = [];
      const subscription = bus.messaging.subscribe("u.x", ({ data }) => got.push(text(data) ?? ""));
      bus.messaging.publish("u.x", bytes("1"));
      await until("the first arrived", () => got.length === 1);
      subscription.unsubscribe();
      bus.messaging.publish("u.x", bytes("2"));
      const request = bus.messaging.request("u.x", NO_DATA, { timeoutMs: 5_000 });
      expect(await codeOf(request)).toBe("NO_RESPONDERS");
      expect(got).toEqual(["1"]);
    });

    test("drain hands over what was sent before it, and takes nothing after it", async () => {
      const [server, client] = [await connect(), await connect()];
      const got: string[] = [];
      const subscription = server.messaging.subscribe("b3.drain", (message) => {
        got.push(text(message.data) ?? "");
      });
      await server.messaging.flush();
      for (let n = 0; n < 50; n += 1) client.messaging.publish("b3.drain", bytes(String(n)));
      await client.messaging.flush();
      await subscription.drain();
      expect(got).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
      const late = client.messaging.request("b3.drain", NO_DATA, { timeoutMs: 5_000 });
      expect(await codeOf(late)).toBe("NO_RESPONDERS");
      await subscription.drain();
      expect(got).toHaveLength(50);
    });

    test("a handler that throws harms nobody else", async () => {
      const bus = await connect();
      const got: string[] = [];
      bus.messaging.subscribe("d.x", () => {
        throw new Error("planted defect");
      });
      bus.messaging.subscribe("d.x", ({ subject }) => got.push(subject));
      bus.messaging.publish("d.x", NO_DATA);
      bus.messaging.publish("d.x", NO_DATA);
      await until("both arrived", () => got.length === 2);
      expect(got).toEqual(["d.x", "d.x"]);
    });

    test("bad subjects are refused", async () => {
      const bus = await connect();
      const { messaging } = bus;
      for (const subject of ["", "a b", "a..b", "a.*", "a.>", "a\r\nPUB b 0", ".a", "a."]) {
        expect(() => messaging.publish(subject, NO_DATA), subject).toThrow(/not valid/);
      }
      for (const filter of ["", "a b", "a.>.b", "a..*"]) {
        expect(() => messaging.subscribe(filter, () => undefined), filter).toThrow(/not valid/);
      }
      const request = messaging.request("a.*", NO_DATA, { timeoutMs: 100 });
      expect(await codeOf(request)).toBe("INVALID_ARGUMENT");
    });
  });

  test("a message over the limit is refused and the connection stays (B4)", async () => {
    const bus = await connect();
    const { messaging } = bus;
    const large = new Uint8Array(messaging.maxPayloadBytes + 1);
    expect(() => messaging.publish("size.x", large)).toThrow(/over the server's limit/);
    const request = messaging.request("size.x", large, { timeoutMs: 5_000 });
    expect(await codeOf(request)).toBe("INVALID_ARGUMENT");
    const got: number[] = [];
    messaging.subscribe("size.x", ({ data }) => got.push(data.length));
    messaging.publish("size.x", large.subarray(1));
    await until("the largest arrived", () => got.length === 1);
    expect(got).toEqual([messaging.maxPayloadBytes]);
    const headers = { "X-Fill": "x" };
    expect(() => messaging.publish("size.x", large.subarray(1), { headers })).toThrow(/limit/);
  });
}
