/** Goal: values, errors and forms survive the way there and back. Method: the in-memory bus. */
import { InvalidArgumentError, OverloadedError } from "@murakkab/kit";
import { decode, encode } from "@murakkab/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bus, Schema } from "../src/index.ts";
import { call, MemoryBroker, publishValue, serve } from "../src/index.ts";
import { SYSTEM_CLOCK } from "../src/nats/index.ts";
import { bytes, codeOf, text } from "./compliance/test-bus.ts";

/** `{ n: number }`, without a dependency on zod here. */
const numberSchema = {
  safeParse: (value: unknown) =>
    typeof (value as { n?: unknown } | null)?.n === "number"
      ? { success: true, data: value }
      : { success: false, error: { issues: [{ path: ["n"], message: "expected a number" }] } },
} as unknown as Schema<{ n: number }>;

let client: Bus;
let server: Bus;
let defects: unknown[] = [];
beforeEach(() => {
  defects = [];
  const broker = new MemoryBroker({ clock: SYSTEM_CLOCK }, { maxPayloadBytes: 2_000 });
  [client, server] = [broker.connect("client"), broker.connect("server")];
});
afterEach(async () => {
  await client.close();
  await server.close();
});

function answer(handle: (value: { n: number }) => unknown): void {
  const onDefect = (error: unknown): void => {
    defects.push(error);
  };
  const options = { subject: "rpc.x", schema: numberSchema, what: "question", onDefect };
  serve(server.messaging, options, handle);
}

const ask = (value: unknown = { n: 1 }): Promise<unknown> =>
  call(client.messaging, { subject: "rpc.x", value }, { timeoutMs: 2_000 });

describe("call and serve", () => {
  test("a value comes back, checked", async () => {
    answer(({ n }) => ({ n: n + 1 }));
    expect(await ask()).toEqual({ n: 2 });
    const json = { timeoutMs: 2_000, encoding: "json" } as const;
    const question = { subject: "rpc.x", value: { n: 5 }, schema: numberSchema };
    expect(await call(client.messaging, question, json)).toEqual({ n: 6 });
  });

  test("an answer that fails the check is refused", async () => {
    answer(() => ({ other: 1 }));
    const question = { subject: "rpc.x", value: { n: 5 }, schema: numberSchema };
    const asked = call(client.messaging, question, { timeoutMs: 2_000 });
    await expect(asked).rejects.toThrow(/answer on rpc\.x field "n" is missing/);
  });

  test("the answer has the form of the question", async () => {
    answer(({ n }) => ({ n }));
    const forms = [
      { data: bytes('{"n":1}'), headers: {}, type: "application/json" },
      { data: bytes('{"n":1}'), headers: { "Content-Type": "application/json" } },
      { data: encode({ n: 1 }, "msgpack"), headers: {}, type: "application/msgpack" },
    ];
    for (const { data, headers, type = "application/json" } of forms) {
      const reply = await client.messaging.request("rpc.x", data, { timeoutMs: 2_000, headers });
      expect(reply.headers["Content-Type"]).toBe(type);
      expect(decode(reply.data, reply.headers).value).toEqual({ n: 1 });
    }
    const broken = await client.messaging.request("rpc.x", bytes("{"), { timeoutMs: 2_000 });
    expect(JSON.parse(text(broken.data) ?? "")).toMatchObject({
      error: { code: "INVALID_ARGUMENT", retryable: false },
    });
  });

  test("errors arrive with code, kind and what to do", async () => {
    answer(({ n }) => {
      if (n === 1) throw new OverloadedError("queue is full", { retryAfterMs: 250 });
      throw new InvalidArgumentError("n is too large", { field: "n", context: { n } });
    });
    await expect(ask()).rejects.toMatchObject({
      name: "RemoteError",
      code: "OVERLOADED",
      kind: "retryable",
      retryAfterMs: 250,
    });
    await expect(ask({ n: 2 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      kind: "terminal",
      field: "n",
      context: { n: 2 },
    });
    await expect(ask({ m: 2 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", field: "n" });
    expect(defects).toEqual([]);
  });

  test("a defect becomes INTERNAL and is told on the server's side", async () => {
    const defect = new TypeError("planted");
    answer(() => {
      throw defect;
    });
    await expect(ask()).rejects.toMatchObject({ code: "INTERNAL", kind: "terminal" });
    expect(defects).toEqual([defect]);
  });

  test("nobody there and nobody answering stay apart", async () => {
    expect(await codeOf(ask())).toBe("NO_RESPONDERS");
    server.messaging.subscribe("rpc.x", () => undefined);
    const asked = call(client.messaging, { subject: "rpc.x", value: 1 }, { timeoutMs: 30 });
    expect(await codeOf(asked)).toBe("TIMEOUT");
  });

  test("an answer over the limit becomes an error, not a silence", async () => {
    answer(() => ({ large: "x".repeat(3_000) }));
    expect(await codeOf(ask())).toBe("INVALID_ARGUMENT");
  });

  test("closing while a request is handled is no defect", async () => {
    let finish: () => void = () => undefined;
    const handling = new Promise<void>((resolve) => {
      finish = resolve;
    });
    answer(() => handling);
    const asked = codeOf(
      call(
        client.messaging,
        { subject: "rpc.x", value: { n: 1 } },
        {
          timeoutMs: 50,
        },
      ),
    );
    await client.messaging.flush();
    await server.close();
    finish();
    expect(await asked).toBe("TIMEOUT");
    expect(defects).toEqual([]);
  });

  test("published values arrive in the asked form", async () => {
    const got: unknown[] = [];
    server.messaging.subscribe("rpc.event", ({ data, headers }) => got.push(decode(data, headers)));
    publishValue(client.messaging, "rpc.event", { n: 1 });
    publishValue(client.messaging, "rpc.event", { n: 2 }, "json");
    await client.messaging.flush();
    expect(got).toEqual([
      { value: { n: 1 }, encoding: "msgpack" },
      { value: { n: 2 }, encoding: "json" },
    ]);
  });
});
