/** The worker of the hand-written reference: answers each step with what it was given. */
import { pack, unpack } from "msgpackr";
import { connect } from "nats";
import { servePeer } from "./peer-process.ts";

const url = process.argv[2];
if (url === undefined) throw new Error("usage: dag-raw-worker URL");
const connection = await connect({ servers: url, noAsyncTraces: true, name: "raw-worker" });
connection.subscribe("raw.step", {
  callback: (_error, message) => {
    const { payload } = unpack(message.data) as { payload: string };
    message.respond(pack({ value: payload }));
  },
});
await connection.flush();
servePeer(async () => null);
