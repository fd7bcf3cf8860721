/**
 * The client library's own request path, as a yardstick for benchmarks. Not used by the runtime.
 */
import { contentHeaders, decode, encode } from "@murakkab/protocol";
import { connect, headers } from "nats";

export interface RawCaller {
  /** The codec work and the bytes are those of `call` in rpc.ts. */
  call(subject: string, value: unknown, timeoutMs: number): Promise<unknown>;
  close(): Promise<void>;
}

export async function connectRawCaller(
  url: string,
  options: { readonly hasAsyncTraces: boolean },
): Promise<RawCaller> {
  const connection = await connect({
    servers: url,
    ...(options.hasAsyncTraces ? {} : { noAsyncTraces: true }),
  });
  const contentType = contentHeaders("msgpack");
  // Made once and reused, and the answer's are not looked at: the best a user of it could do.
  const requestHeaders = headers();
  for (const [name, text] of Object.entries(contentType)) requestHeaders.set(name, text);
  return {
    call: async (subject, value, timeoutMs) => {
      const reply = await connection.request(subject, encode(value, "msgpack"), {
        timeout: timeoutMs,
        headers: requestHeaders,
      });
      return decode(reply.data, contentType).value;
    },
    close: () => connection.close(),
  };
}
