/** Goal: D1 to D4, where a server would have to fail in the middle. Method: scripted answers. */
import { seededRandom } from "@murakkab/kit";
import { decode } from "@murakkab/protocol";
import type { Msg } from "nats";
import { expect, test } from "vitest";
import type { BusMessage } from "../src/index.ts";
import { JetStreamApi } from "../src/nats/jetstream-api.ts";
import { NatsMessage } from "../src/nats/nats-message.ts";
import type { NatsMessaging } from "../src/nats/nats-messaging.ts";
import { readStream } from "../src/nats/stream-reader.ts";
import { bytes, codeOf } from "./compliance/test-bus.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What one pull gets: sequences, and at last a status of the server if it is given. */
interface Pull {
  readonly sequences: readonly number[];
  readonly status?: number;
}

interface Script {
  /** What each consumer that is made says is pending, and its pulls. The last one repeats. */
  readonly consumers: readonly { readonly pendingCount: number; readonly pulls: readonly Pull[] }[];
  /** The leader's last sequence, each time it is asked; null: none. The last one repeats. */
  readonly leader?: readonly (number | null)[];
}

const ENDLESS = 1_000;
const ACK = "$JS.ACK.S.C.1";

function statusMessage(code: number): BusMessage {
  const headers = Object.assign([], { code });
  return new NatsMessage({ data: bytes(""), subject: "inbox", headers } as unknown as Msg);
}

function scripted({ consumers, leader = [] }: Script) {
  const clock = new VirtualClock();
  const pulled: number[] = [];
  const starts: number[] = [];
  let consumerCount = 0;
  let leaderCount = 0;
  let pulls: Pull[] = [];
  let deliver: (message: BusMessage) => void = () => undefined;
  const at = <T>(list: readonly T[], index: number): T =>
    list[Math.min(index, list.length - 1)] as T;
  const answer = (subject: string, data: Uint8Array): unknown => {
    if (subject.startsWith("$JS.API.STREAM.MSG.GET")) {
      const sequence = at(leader, (leaderCount += 1) - 1);
      if (sequence === null) return { error: { code: 404, err_code: 10037 } };
      return { message: { subject: "s.a", seq: sequence, data: "" } };
    }
    const { config } = decode(data, {}).value as { config: { opt_start_seq?: number } };
    starts.push(config.opt_start_seq ?? 1);
    const consumer = at(consumers, (consumerCount += 1) - 1);
    pulls = [...consumer.pulls];
    return { name: "C", num_pending: consumer.pendingCount };
  };
  const messaging = {
    isClosed: false,
    maxPayloadBytes: 1_000,
    request: async (subject: string, data: Uint8Array) => ({
      data: bytes(JSON.stringify(answer(subject, data))),
    }),
    subscribe: (_subject: string, handler: (message: BusMessage) => void) => {
      deliver = handler;
      return { unsubscribe: () => undefined };
    },
    publish: (subject: string, data: Uint8Array) => {
      if (!subject.startsWith("$JS.API.CONSUMER.MSG.NEXT")) return;
      const { batch } = decode(data, {}).value as { batch: number };
      pulled.push(batch);
      const pull = pulls.shift() ?? { sequences: [] };
      for (const sequence of pull.sequences) {
        const reply = `${ACK}.${sequence}.1.0.${ENDLESS}`;
        deliver({ subject: "s.a", data: bytes(String(sequence)), headers: {}, reply });
      }
      if (pull.status !== undefined) deliver(statusMessage(pull.status));
    },
  } as unknown as NatsMessaging;
  const api = new JetStreamApi(
    { messaging, clock, random: seededRandom(1) },
    { attemptTimeoutMs: 100, totalTimeoutMs: 1_000, inboxPrefix: "_INBOX" },
  );
  return { api, clock, pulled, starts };
}

const REQUEST = { stream: "S", filter: "s.a" };

async function sequencesOf(
  { api, clock }: { api: JetStreamApi; clock: VirtualClock },
  request: Parameters<typeof readStream>[1],
): Promise<number[]> {
  const reading = readStream(api, request);
  await clock.advance(5_000);
  return (await reading).map((message) => message.sequence);
}

test.each([
  ["its consumer was deleted", 409],
  ["nobody is there for the pull", 503],
])("a read goes on where it was when %s (D2)", async (_, status) => {
  const world = scripted({
    consumers: [
      {
        pendingCount: 4,
        pulls: [
          { sequences: [1, 2], status },
          { sequences: [], status },
        ],
      },
      {
        pendingCount: 2,
        pulls: [
          { sequences: [2, 3, 4], status: 404 },
          { sequences: [], status: 404 },
        ],
      },
    ],
  });
  expect(await sequencesOf(world, REQUEST)).toEqual([1, 2, 3, 4]);
  expect(world.starts).toEqual([1, 3]);
});

test("a read ends where nothing is left, and fails where nothing comes (D1)", async () => {
  const purged = scripted({
    consumers: [{ pendingCount: 9, pulls: [{ sequences: [], status: 404 }] }],
  });
  expect(await sequencesOf(purged, REQUEST)).toEqual([]);
  const silent = scripted({ consumers: [{ pendingCount: 9, pulls: [] }] });
  const reading = codeOf(readStream(silent.api, REQUEST));
  await silent.clock.advance(5_000);
  expect(await reading).toBe("UNAVAILABLE");
});

test("of a replicated stream a copy that lags is asked again (D3)", async () => {
  const lagging = scripted({
    leader: [3],
    consumers: [
      { pendingCount: 0, pulls: [] },
      {
        pendingCount: 1,
        pulls: [
          { sequences: [2], status: 408 },
          { sequences: [], status: 404 },
        ],
      },
      {
        pendingCount: 1,
        pulls: [
          { sequences: [3], status: 408 },
          { sequences: [], status: 404 },
        ],
      },
    ],
  });
  expect(await sequencesOf(lagging, { ...REQUEST, isReplicated: true })).toEqual([2, 3]);
  // What was there at the start may be purged by now: then there is nothing to wait for.
  const purged = scripted({ leader: [3, null], consumers: [{ pendingCount: 0, pulls: [] }] });
  expect(await sequencesOf(purged, { ...REQUEST, isReplicated: true })).toEqual([]);
});

test("of a bounded range little behind it is asked for (D4)", async () => {
  const world = scripted({
    consumers: [{ pendingCount: 500, pulls: [{ sequences: [7, 9, 5_000] }] }],
  });
  const range = { ...REQUEST, fromSequence: 5, toSequence: 2_000 };
  expect(await sequencesOf(world, range)).toEqual([7, 9]);
  expect(world.pulled).toEqual([64]);
  expect(await sequencesOf(world, { ...REQUEST, fromSequence: 9, toSequence: 8 })).toEqual([]);
});
