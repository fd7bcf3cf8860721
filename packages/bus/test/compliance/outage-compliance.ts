/** Goal: an outage is told at once and survived. Method: the server ends and comes back. */
import { expect, test } from "vitest";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text, until } from "./test-bus.ts";

const NO_DATA = new Uint8Array(0);

export function outageCompliance(testBus: () => TestBus): void {
  test("requests fail at once while the server is away, and work again after it", async () => {
    const [server, client] = [await testBus().connect(), await testBus().connect()];
    const states: string[] = [];
    client.messaging.onStatus((status) => states.push(status));
    let isServerBack = true;
    server.messaging.onStatus((status) => {
      isServerBack = status === "connected";
    });
    server.messaging.subscribe("out.echo", (message) => {
      if (message.reply === undefined) return;
      server.messaging.publish(message.reply, message.data);
    });
    server.messaging.subscribe("out.silent", () => undefined);
    await server.messaging.flush();
    const store = await client.state.openKeyValue("outage");
    const revision = await store.put("k", bytes("before"));
    const log = await client.state.openLog("outage-log", { subjects: ["ol.>"], maxAgeMs: 0 });
    await log.append("ol.a", bytes("before"));
    const inFlight = codeOf(client.messaging.request("out.silent", NO_DATA, { timeoutMs: 500 }));
    await client.messaging.flush();

    await testBus().stopServer();
    await until("the client noticed", () => states.includes("disconnected"));
    const startMs = performance.now();
    const request = client.messaging.request("out.echo", NO_DATA, { timeoutMs: 60_000 });
    expect(await codeOf(request)).toBe("UNAVAILABLE");
    expect(await codeOf(client.messaging.flush())).toBe("UNAVAILABLE");
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(await inFlight).toBe("TIMEOUT"); // not cut short: it might have been answered
    expect(await codeOf(store.get("k"))).toBe("UNAVAILABLE");

    await testBus().startServer();
    await until("both are back", () => isServerBack && states.at(-1) === "connected");
    await server.messaging.flush();
    const reply = await client.messaging.request("out.echo", bytes("again"), { timeoutMs: 5_000 });
    expect(text(reply.data)).toBe("again");
    const entry = await store.get("k");
    expect([text(entry?.value), entry?.revision]).toEqual(["before", revision]);
    expect((await store.update("k", bytes("after"), revision)).kind).toBe("written");
    expect((await log.read("ol.>")).map((item) => text(item.data))).toEqual(["before"]);
    await server.close();
    await client.close();
    expect(states.at(-1)).toBe("closed");
  });
}
