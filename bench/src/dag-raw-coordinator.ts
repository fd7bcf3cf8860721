/**
 * The reference of the `dag` bench: what somebody would write by hand on the NATS client, with the
 * same exchanges and, where durable, the same promises, and nothing else.
 *
 * Owns:      submit request/reply, five asks to the worker (one, three at a time, one), receipt
 *            request/reply. Durable: `accepted` is journaled before the reply, each step's end
 *            before the next step, the terminal state before the receipt.
 * Does not:  plan, place, retry, time out a job, survive its own end, or bound what it takes.
 */
import { pack, unpack } from "msgpackr";
import { connect, type JetStreamClient, RetentionPolicy, StorageType } from "nats";
import { servePeer } from "./peer-process.ts";

export interface RawSubmission {
  readonly isDurable: boolean;
  readonly payload: string;
}

const JOURNAL_SUBJECT = "raw.journal";
/** The oldest goes first: only what is under way matters here. */
const JOURNAL_BYTES_MAX = 512 * 1024 * 1024;
const STEP_TIMEOUT_MS = 30_000;

const url = process.argv[2];
if (url === undefined) throw new Error("usage: dag-raw-coordinator URL");
const connection = await connect({ servers: url, noAsyncTraces: true, name: "raw-coordinator" });
const manager = await connection.jetstreamManager();
await manager.streams.add({
  name: "raw-journal",
  subjects: [JOURNAL_SUBJECT],
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  max_bytes: JOURNAL_BYTES_MAX,
});
const journal: JetStreamClient = connection.jetstream();
const receipts = new Map<number, Promise<string>>();
let lastId = 0;

async function record(isDurable: boolean, entry: unknown): Promise<void> {
  if (isDurable) await journal.publish(JOURNAL_SUBJECT, pack(entry));
}

async function runStep(
  id: number,
  step: string,
  { isDurable, payload }: RawSubmission,
): Promise<string> {
  const message = await connection.request("raw.step", pack({ id, step, payload }), {
    timeout: STEP_TIMEOUT_MS,
  });
  const { value } = unpack(message.data) as { value: string };
  await record(isDurable, { id, event: "step-finished", step, value });
  return value;
}

async function runDag(id: number, submission: RawSubmission): Promise<string> {
  const { isDurable } = submission;
  const first = await runStep(id, "a", submission);
  const middle = { isDurable, payload: first };
  const [value] = await Promise.all(["b1", "b2", "b3"].map((step) => runStep(id, step, middle)));
  const output = await runStep(id, "c", { isDurable, payload: value ?? "" });
  await record(isDurable, { id, event: "succeeded", output });
  return output;
}

connection.subscribe("raw.submit", {
  callback: (_error, message) => {
    const submission = unpack(message.data) as RawSubmission;
    lastId += 1;
    const id = lastId;
    const accepted = record(submission.isDurable, { id, event: "accepted", submission });
    void accepted.then(() => {
      receipts.set(id, runDag(id, submission));
      message.respond(pack({ id }));
    });
  },
});

connection.subscribe("raw.wait", {
  callback: (_error, message) => {
    const { id } = unpack(message.data) as { id: number };
    void receipts.get(id)?.then((output) => {
      receipts.delete(id);
      message.respond(pack({ id, output }));
    });
  },
});

await connection.flush();
servePeer(async () => null);
