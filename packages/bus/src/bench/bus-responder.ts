/** The peer of the `bus` benchmark, in a process of its own: answers with what it got. */
import { contentHeaders } from "@murakkab/protocol";
import { connectNats } from "../nats/nats-bus.ts";

const [url, subject] = process.argv.slice(2);
if (url === undefined || subject === undefined) throw new Error("usage: bus-responder URL SUBJECT");
const bus = await connectNats({ servers: url, name: "bench-responder" });
const headers = contentHeaders("msgpack");
bus.messaging.subscribe(subject, (message) => {
  if (message.reply !== undefined) bus.messaging.publish(message.reply, message.data, { headers });
});
await bus.messaging.flush();
process.send?.("ready");
// Ends with the benchmark, however that ends.
process.on("disconnect", () => {
  process.exit(0);
});
