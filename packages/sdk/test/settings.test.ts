/** Where a client looks for the bus, and which current-cluster files count. */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  readCurrentCluster,
  redactUrl,
  removeCurrentCluster,
  resolveNats,
  writeCurrentCluster,
} from "../src/index.ts";

/** No process has this id: it is above Linux' highest. */
const DEAD_PID = 2 ** 22 + 1;

let home: string;
let env: Record<string, string>;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "sdk-settings-"));
  env = { HOME: home };
});

afterEach(() => rm(home, { recursive: true, force: true }));

describe("the bus's address", () => {
  test("option, NATS_URL, current cluster, default, in this order", async () => {
    expect(await resolveNats(undefined, env)).toEqual({
      url: "nats://127.0.0.1:4222",
      source: "default",
    });
    await writeCurrentCluster(env, { natsUrl: "nats://127.0.0.1:5000", pid: process.pid });
    expect(await resolveNats(undefined, env)).toMatchObject({ source: "current cluster" });
    env["NATS_URL"] = "nats://bus:4222";
    expect(await resolveNats(undefined, env)).toMatchObject({ url: "nats://bus:4222" });
    expect(await resolveNats("nats://other:1", env)).toEqual({
      url: "nats://other:1",
      source: "option",
    });
  });

  test("an address that is none is refused without repeating its password", async () => {
    const refused = resolveNats("http://me:secret@host", env);
    await expect(refused).rejects.toThrow(
      /nats ".*@host" is not valid, expected a URL such as nats:/,
    );
    await expect(resolveNats("http://me:secret@host", env)).rejects.not.toThrow(/secret/);
    expect(redactUrl("nats://me:secret@a:1,nats://me:secret@b:2")).toBe(
      "nats://***@a:1,nats://***@b:2",
    );
  });
});

describe("the current-cluster file", () => {
  test("C1: only its owner can read it", async () => {
    const path = await writeCurrentCluster(env, { natsUrl: "nats://x:1", pid: process.pid });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
      natsUrl: "nats://x:1",
      pid: process.pid,
    });
  });

  test("C2: of a process that is gone, or broken, it counts as absent", async () => {
    const path = await writeCurrentCluster(env, { natsUrl: "nats://x:1", pid: DEAD_PID });
    expect(await readCurrentCluster(env)).toBeNull();
    await writeFile(path, "{ half");
    expect(await readCurrentCluster(env)).toBeNull();
  });

  test("C3: another cluster's file is left alone", async () => {
    await writeCurrentCluster(env, { natsUrl: "nats://x:1", pid: process.pid });
    await removeCurrentCluster(env, DEAD_PID);
    expect(await readCurrentCluster(env)).not.toBeNull();
    await removeCurrentCluster(env, process.pid);
    expect(await readCurrentCluster(env)).toBeNull();
  });
});
