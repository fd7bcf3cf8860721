/**
 * Goal: a worker lives through the loss of its agent: it waits, is found again, tells what it holds.
 * Method: agent client and link on the in-memory bus under a virtual clock; the test is the agent.
 */
import { MemoryBroker, publishValue, serve } from "@murakkab/bus";
import { AbortSource, SILENT_LOGGER, TerminalError } from "@murakkab/kit";
import type { CoresAcquire, InstanceHello } from "@murakkab/protocol";
import {
  artifactIngestSchema,
  coresAcquireSchema,
  coresReleaseSchema,
  instanceHelloSchema,
  subjects,
} from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "../../testkit/src/virtual-clock.ts";
import { AgentClient } from "../src/agent-client.ts";
import { AgentLink } from "../src/agent-link.ts";

function fixture() {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  const { messaging } = broker.connect("worker");
  const client = new AgentClient({ messaging, clock }, { node: "n-1", instance: "i-1" });
  const told = { newAgents: 0, disowned: 0 };
  const link = new AgentLink(
    { messaging, clock, log: SILENT_LOGGER },
    {
      node: "n-1",
      describe: () => {
        const { holds } = client;
        return { instance: "i-1", holds, queuedCount: 0, inFlightCount: holds.length };
      },
      onNewAgent: () => {
        told.newAgents += 1;
        client.onNewAgent();
      },
      onDisowned: () => {
        told.disowned += 1;
      },
    },
  );
  /** An agent process: `kill` is what SIGKILL leaves of it. */
  const startAgent = (incarnation: string, options: { isMute?: boolean; hasIt?: boolean } = {}) => {
    const acquires: CoresAcquire[] = [];
    const hellos: InstanceHello[] = [];
    const agent = broker.connect(`agent-${incarnation}`).messaging;
    const onDefect = (error: unknown): never => expect.fail(String(error));
    const on = <T>(
      subject: string,
      schema: Parameters<typeof serve<T>>[1]["schema"],
      handle: (value: T) => unknown,
    ) => serve<T>(agent, { subject, schema, what: "request", onDefect }, handle);
    const never = (): Promise<never> => new Promise(() => undefined);
    const subscriptions = [
      on(subjects.coresAcquire("n-1"), coresAcquireSchema, (request) => {
        acquires.push(request);
        return options.isMute === true ? never() : { ok: true };
      }),
      on(subjects.coresRelease("n-1"), coresReleaseSchema, () => ({ ok: true })),
      on(subjects.artifactIngest("n-1"), artifactIngestSchema, () => {
        if (options.isMute === true) return never();
        throw new TerminalError("INVALID_ARGUMENT", "no such file");
      }),
      on(subjects.instanceHello("n-1"), instanceHelloSchema, (hello) => {
        if (options.hasIt === false) throw new TerminalError("INSTANCE_ENDED", "not here");
        hellos.push(hello);
        return { incarnation };
      }),
    ];
    const kill = (): void => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
    const muster = (): void => publishValue(agent, subjects.instanceMuster("n-1"), { incarnation });
    return { acquires, hellos, kill, muster };
  };
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    promise.then(over, over);
    await clock.runUntil(() => isOver);
    return promise;
  };
  const pass = (ms: number): Promise<void> =>
    settled(new Promise<void>((resolve) => clock.after(ms, resolve)));
  const acquire = (attempt: string, remainingMs: number) =>
    client.acquireCores({ attempt, cores: 1, remainingMs }, new AbortSource().signal);
  return { broker, client, clock, link, told, startAgent, settled, pass, acquire };
}

describe("G1: asking an agent that is away", () => {
  test("waits until it is back, with the time that then remains", async () => {
    const { acquire, clock, pass, settled, startAgent } = fixture();
    const held = acquire("a", 10_000);
    await pass(4_000);
    const { acquires } = startAgent("one");
    await settled(held);
    expect(clock.monotonicMs()).toBeLessThan(4_500);
    expect(acquires[0]?.remainingMs).toBeLessThanOrEqual(6_000);
  });

  test("gives up when the attempt's time is over", async () => {
    const { acquire, clock, settled } = fixture();
    await expect(settled(acquire("a", 2_000))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      kind: "retryable",
    });
    expect(clock.monotonicMs()).toBeLessThanOrEqual(2_000);
  });

  test("asks the next agent what the lost one never answered", async () => {
    const { acquire, client, link, pass, settled, startAgent } = fixture();
    const first = startAgent("one", { isMute: true });
    const held = acquire("a", 60_000);
    await pass(100);
    expect(first.acquires).toHaveLength(1);
    first.kill();
    link.detach();
    const second = startAgent("two");
    await settled(held);
    expect(second.acquires).toMatchObject([{ attempt: "a" }]);
    expect(second.hellos[0]?.holds).toEqual([]); // it was not held yet
    expect(client.holds).toEqual([{ attempt: "a", cores: 1 }]);
  });

  test("a file that the lost agent had taken makes the attempt repeatable", async () => {
    const { client, link, pass, settled, startAgent } = fixture();
    const first = startAgent("one", { isMute: true });
    const request = { jobId: "j", path: "/p", mediaType: "a/b", remainingMs: 60_000 };
    const ingest = client.ingest(request);
    ingest.catch(() => undefined);
    await pass(100);
    first.kill();
    link.detach();
    startAgent("two");
    await expect(settled(ingest)).rejects.toMatchObject({ code: "UNAVAILABLE", kind: "retryable" });
    // Asked once, the same answer stays what it is.
    await expect(settled(client.ingest(request))).rejects.toMatchObject({ kind: "terminal" });
  });
});

describe("L2: being found again", () => {
  test("each new agent hears what is held, once; nothing while there is a channel (L1)", async () => {
    const { acquire, link, pass, settled, startAgent, told } = fixture();
    const first = startAgent("one");
    await settled(acquire("a", 1_000));
    first.muster();
    link.report();
    await pass(5_000);
    expect(first.hellos).toEqual([]);
    first.kill();
    link.detach();
    await pass(20_000);
    const second = startAgent("two");
    await pass(1_100);
    const holds = [{ attempt: "a", cores: 1 }];
    expect(second.hellos).toMatchObject([{ holds, inFlightCount: 1 }]);
    second.muster(); // it knows already
    await pass(1_000);
    expect(second.hellos).toHaveLength(1);
    link.report();
    await pass(100);
    expect(second.hellos).toHaveLength(2);
    second.kill();
    const third = startAgent("three");
    third.muster();
    await pass(100);
    expect(third.hellos).toMatchObject([{ holds }]);
    expect(told).toEqual({ newAgents: 2, disowned: 0 });
    link.stop();
  });

  test("an agent that came while the bus was away is found at its return", async () => {
    const { broker, link, pass, startAgent } = fixture();
    link.detach();
    const second = startAgent("two");
    await pass(2_000);
    second.kill();
    broker.stop();
    await pass(1_000);
    const third = startAgent("three");
    broker.start();
    await pass(1_500);
    expect(third.hellos.length).toBeGreaterThanOrEqual(1);
    link.stop();
  });

  test("is told that it is nobody's", async () => {
    const { link, pass, startAgent, told } = fixture();
    link.detach();
    await pass(3_000);
    startAgent("two", { hasIt: false });
    await pass(1_100);
    expect(told).toEqual({ newAgents: 0, disowned: 1 });
    link.stop();
  });
});
