/** Goal: streams of answers and service discovery are alike. Method: as for single answers. */
import { afterEach, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus.ts";
import { STREAM_END_HEADER } from "../../src/messaging.ts";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text } from "./test-bus.ts";

const NO_DATA = new Uint8Array(0);

export function streamCompliance(testBus: () => TestBus): void {
  const buses: Bus[] = [];
  const connect = async (name?: string): Promise<Bus> => {
    const bus = await testBus().connect(name);
    buses.push(bus);
    return bus;
  };
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
  });

  describe("streams of answers", () => {
    const end = { headers: { [STREAM_END_HEADER]: "1" } };

    test("come in order and end at the mark", async () => {
      const [server, client] = [await connect(), await connect()];
      server.messaging.subscribe("s.count", ({ reply = "" }) => {
        for (let index = 0; index < 300; index += 1) {
          server.messaging.publish(reply, bytes(String(index)));
        }
        server.messaging.publish(reply, NO_DATA, end);
      });
      await server.messaging.flush();
      const got: number[] = [];
      const options = { idleTimeoutMs: 5_000 };
      for await (const item of client.messaging.requestStream("s.count", NO_DATA, options)) {
        got.push(Number(text(item.data)));
      }
      expect(got).toEqual(Array.from({ length: 300 }, (_, index) => index));
    });

    test("fail when nobody is there, when silent, and on cancel", async () => {
      const bus = await connect();
      const drain = async (subject: string, idleTimeoutMs: number, signal?: AbortSignal) => {
        const options = { idleTimeoutMs, ...(signal === undefined ? {} : { signal }) };
        for await (const item of bus.messaging.requestStream(subject, NO_DATA, options)) void item;
      };
      expect(await codeOf(drain("s.nobody", 60_000))).toBe("NO_RESPONDERS");
      bus.messaging.subscribe("s.one", ({ reply = "" }) => {
        bus.messaging.publish(reply, bytes("only"));
      });
      expect(await codeOf(drain("s.one", 50))).toBe("TIMEOUT");
      const abort = new AbortController();
      const cancelled = codeOf(drain("s.one", 60_000, abort.signal));
      abort.abort();
      expect(await cancelled).toBe("CANCELLED");
    });

    test("may be left early", async () => {
      const bus = await connect();
      bus.messaging.subscribe("s.early", ({ reply = "" }) => {
        for (const item of ["1", "2", "3"]) bus.messaging.publish(reply, bytes(item));
      });
      const options = { idleTimeoutMs: 5_000 };
      for await (const item of bus.messaging.requestStream("s.early", NO_DATA, options)) {
        expect(text(item.data)).toBe("1");
        break;
      }
      await bus.messaging.flush();
    });
  });

  test("a registered service answers discovery until it is taken back", async () => {
    const bus = await connect();
    const service = bus.messaging.register({
      name: "scheduler",
      version: "1.2.3",
      description: "plans",
      metadata: { node: "n1" },
    });
    await bus.messaging.flush();
    for (const [subject, kind] of [
      ["$SRV.PING", "ping"],
      ["$SRV.INFO.scheduler", "info"],
      ["$SRV.STATS.scheduler", "stats"],
    ] as const) {
      const reply = await bus.messaging.request(subject, NO_DATA, { timeoutMs: 5_000 });
      const answer = JSON.parse(text(reply.data) ?? "") as Record<string, unknown>;
      expect(answer).toMatchObject({
        type: `io.nats.micro.v1.${kind}_response`,
        name: "scheduler",
        version: "1.2.3",
        metadata: { node: "n1" },
      });
    }
    service.unsubscribe();
    const gone = bus.messaging.request("$SRV.PING.scheduler", NO_DATA, { timeoutMs: 5_000 });
    expect(await codeOf(gone)).toBe("NO_RESPONDERS");
  });
}
