/** Flags and environment: defaults, credentials, and one clear sentence for each mistake. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { redact } from "@murakkab/kit";
import { describe, expect, it } from "vitest";
import { parseRange } from "../../src/adapters/byte-range.ts";
import { lockDataDir } from "../../src/adapters/data-lock.ts";
import { readSettings } from "../../src/adapters/options.ts";
import { TailBuffer } from "../../src/adapters/tail-buffer.ts";
import { temporaryDir } from "../fixtures/temporary.ts";

const DEFAULTS = { hostname: "gpu-1.example.org", cores: 8, memoryBytes: 10 * 1_073_741_824 };
const read = (argv: string[], env: Record<string, string> = {}) =>
  readSettings(["--token-file", "t", ...argv], env, DEFAULTS);

describe("settings", () => {
  it("has defaults from the host", () => {
    expect(read([])).toMatchObject({
      node: "gpu-1-example-org",
      cpus: 8,
      memoryMib: 8_192,
      dataDir: ".murakkab/gpu-1-example-org",
      bus: { servers: "nats://127.0.0.1:4222" },
      listen: { host: "127.0.0.1", port: 0 },
      advertise: null,
      connectTimeoutMs: 10_000,
      inputRoots: [],
    });
  });

  it("takes credentials out of the address, and from the environment", () => {
    expect(read(["--nats", "nats://me:p%40ss@bus.example:4222"])).toMatchObject({
      bus: { servers: "nats://bus.example:4222", user: "me", password: "p@ss" },
    });
    expect(read(["--nats", "nats://tok@bus.example"])).toMatchObject({ bus: { token: "tok" } });
    expect(read(["--nats", "bus.example:4222"], { NATS_CREDS: "/c" })).toMatchObject({
      bus: { servers: "nats://bus.example:4222", credsFile: "/c" },
    });
  });

  it("reads lists and labels", () => {
    const argv = [
      "--labels",
      "zone=a,disk=fast",
      "--labels",
      "gpu=",
      "--input-root",
      "/a",
      "--input-root",
      "/b",
    ];
    expect(read([...argv, "--artifact-listen", "[::1]:7000", "--advertise", "h:1"])).toMatchObject({
      labels: { zone: "a", disk: "fast", gpu: "" },
      inputRoots: ["/a", "/b"],
      listen: { host: "::1", port: 7_000 },
      advertise: { host: "h", port: 1 },
    });
    expect(read(["--help"])).toBe("help");
  });

  it.each([
    [["--cpus", "0"], '--cpus is "0", expected a number above 0'],
    [["--memory", "lots"], '--memory is "lots", expected a number above 0'],
    [["--node", "a.b"], '--node is "a.b", expected 1 to 128 letters, digits, "-" or "_"'],
    [
      ["--artifact-listen", "7000"],
      '--artifact-listen is "7000", expected HOST:PORT such as 10.0.0.5:7420',
    ],
    [["--advertise", "h:0"], '--advertise is "h:0", expected a port above 0'],
    [["--labels", "zone"], '--labels is "zone", expected KEY=VALUE'],
    [
      ["--log-level", "loud"],
      '--log-level is "loud", expected trace, debug, info, warn, error, fatal, silent',
    ],
    [
      ["--nats", "nats://u:secret@h:bad"],
      "--nats is not a valid address, expected nats://host:port",
    ],
    [["--colour"], "Unknown option '--colour', expected the flags that --help lists"],
    [
      ["--nats", "nats://bus.example:4222"],
      "the bus at bus.example:4222 is not on this host and no credentials are given, " +
        "expected NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, or --insecure",
    ],
  ])("refuses %j", (argv, message) => {
    expect(() => read(argv)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", message }),
    );
  });

  it("allows a bus without credentials elsewhere only when told to", () => {
    expect(read(["--nats", "bus.example:4222", "--insecure"])).toMatchObject({
      node: expect.anything(),
    });
    expect(() => readSettings([], {}, DEFAULTS)).toThrow(/--token-file is missing/);
  });
});

describe("data directory", () => {
  it("belongs to one agent; a dead one's lock does not count", () => {
    const dir = temporaryDir();
    const release = lockDataDir(dir);
    expect(() => lockDataDir(dir)).toThrow(expect.objectContaining({ code: "DATA_IN_USE" }));
    release();
    expect(existsSync(join(dir, "agent.lock"))).toBe(false);
    writeFileSync(join(dir, "agent.lock"), `${process.pid} 12345`); // our pid, another start
    lockDataDir(dir)();
    writeFileSync(join(dir, "agent.lock"), "");
    lockDataDir(dir)();
  });
});

describe("small parts", () => {
  it("reads one byte range", () => {
    expect(parseRange(undefined, 10)).toBeNull();
    expect(parseRange("bytes=0-3", 10)).toEqual([0, 3]);
    expect(parseRange("bytes=7-", 10)).toEqual([7, 9]);
    expect(parseRange("bytes=-4", 10)).toEqual([6, 9]);
    expect(parseRange("bytes=-40", 10)).toEqual([0, 9]);
    expect(parseRange("bytes=5-99", 10)).toEqual([5, 9]);
    expect(parseRange("bytes=10-", 10)).toBe("unsatisfiable");
    expect(parseRange("bytes=-0", 10)).toBe("unsatisfiable");
    for (const odd of ["bytes=3-1", "bytes=0-1,4-5", "lines=1-2", "bytes=-"]) {
      expect(parseRange(odd, 10)).toBeNull();
    }
  });

  it("takes credentials out of text", () => {
    const clean = redact(
      `nats://u:pw@h tls://tok@h Bearer abcdefgh1234 password=pw1 "api_key": "k2" ` +
        `mkt.upload.123.${"a".repeat(64)} plain text`,
    );
    for (const secret of ["pw@", "tok@", "abcdefgh", "pw1", "k2", "aaaa"]) {
      expect(clean).not.toContain(secret);
    }
    expect(clean).toContain("plain text");
  });

  it("keeps whole last lines", () => {
    const tail = new TailBuffer({ bytesMax: 20 });
    for (let line = 0; line < 100; line += 1) tail.push(Buffer.from(`line ${line}\n`));
    expect(tail.toString()).toBe("line 98\nline 99\n");
    const short = new TailBuffer({ bytesMax: 20 });
    short.push(Buffer.from("all of it"));
    expect(short.toString()).toBe("all of it");
  });
});
