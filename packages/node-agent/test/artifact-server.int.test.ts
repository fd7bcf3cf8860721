/**
 * Two artifact servers on two addresses of this host: upload, fetch from each other with the
 * token, refuse without. The same across two network namespaces where the host permits those.
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { ArtifactRef } from "@murakkab/model";
import { makeTicket } from "@murakkab/protocol";
import { describe, expect, it, onTestFinished } from "vitest";
import { hashOf } from "./fakes/memory-blobs.ts";
import { artifactNode, TOKEN } from "./fixtures/artifact-node.ts";

const CONTENT = "content of the film".repeat(1_000);
const bearer = (secret: string): { authorization: string } => ({
  authorization: `Bearer ${secret}`,
});

const upload = (url: string, body: string, secret = TOKEN, name = "film.mp4"): Promise<Response> =>
  fetch(`${url}/artifacts?name=${encodeURIComponent(name)}`, {
    method: "POST",
    body,
    headers: { ...bearer(secret), "content-type": "application/octet-stream" },
  });

describe("two nodes", () => {
  it("fetch from each other with the token, and not without", async () => {
    const [a, b] = [await artifactNode("a", "127.0.0.1"), await artifactNode("b", "127.0.0.2")];
    const stored = await upload(a.url, CONTENT);
    expect(stored.status).toBe(201);
    const ref = (await stored.json()) as ArtifactRef;
    expect(ref).toEqual({
      artifact: `artifact://sha256/${hashOf(CONTENT)}`,
      bytes: CONTENT.length,
      mediaType: "video/mp4",
      name: "film.mp4",
    });
    const open = { jobId: "j", artifact: { ...ref, holders: [a] }, remainingMs: 5_000 };
    await expect(b.serviceWith("another-token-of-16").open(open)).rejects.toMatchObject({
      code: "ARTIFACT_UNAVAILABLE",
      message: expect.stringContaining("HTTP 401"),
    });
    const { path } = await b.serviceWith(TOKEN).open(open);
    expect(readFileSync(path, "utf8")).toBe(CONTENT);
    expect(b.store.isPinned(hashOf(CONTENT))).toBe(true);
    // And back: what only b has.
    const other = (await (await upload(b.url, "other")).json()) as ArtifactRef;
    const back = await a
      .serviceWith(TOKEN)
      .open({ jobId: "j", artifact: { ...other, holders: [b] }, remainingMs: 5_000 });
    expect(readFileSync(back.path, "utf8")).toBe("other");
  });

  it("say that a holder is gone", async () => {
    const b = await artifactNode("b", "127.0.0.2");
    const artifact = {
      artifact: `artifact://sha256/${hashOf("x")}`,
      bytes: 1,
      mediaType: "a/b",
      holders: [{ node: "gone", url: "http://127.0.0.1:1" }],
    };
    const opened = b.serviceWith(TOKEN).open({ jobId: "j", artifact, remainingMs: 5_000 });
    await expect(opened).rejects.toMatchObject({
      code: "ARTIFACT_LOST",
      message: expect.stringContaining("artifact server of node gone did not serve it"),
    });
  });
});

describe("one door", () => {
  it("takes tickets for their purpose and time only", async () => {
    const { url } = await artifactNode("a", "127.0.0.1");
    const ticket = (purpose: "upload" | "download", inMs: number, token = TOKEN): string =>
      makeTicket({ token, purpose, expiresAtWallMs: Date.now() + inMs });
    const path = `${url}/artifacts/${hashOf("hello")}`;
    const get = async (secret: string): Promise<number> =>
      (await fetch(path, { headers: bearer(secret) })).status;
    expect((await upload(url, "hello", ticket("upload", 60_000))).status).toBe(201);
    expect(await get(ticket("download", 60_000))).toBe(200);
    expect(await get(ticket("upload", 60_000))).toBe(401);
    expect(await get(ticket("download", 60_000, "some-other-token-"))).toBe(401);
    expect((await upload(url, "hello", ticket("download", 60_000))).status).toBe(401);
    const expired = await upload(url, "hello", ticket("upload", -1));
    expect(expired.status).toBe(401);
    expect(await expired.json()).toMatchObject({
      error: { code: "UNAUTHORIZED", message: "the upload ticket has expired" },
    });
    expect((await fetch(path)).status).toBe(401);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("pins for the job that the token's holder names, and as an upload otherwise", async () => {
    const { url, store } = await artifactNode("a", "127.0.0.1");
    const put = (body: string, secret: string): Promise<Response> =>
      fetch(`${url}/artifacts?job=j1`, { method: "POST", body, headers: bearer(secret) });
    const expiresAtWallMs = Date.now() + 60_000;
    await put("spilled", TOKEN);
    await put("uploaded", makeTicket({ token: TOKEN, purpose: "upload", expiresAtWallMs }));
    store.release("j1");
    expect(store.isPinned(hashOf("spilled"))).toBe(false);
    expect(store.isPinned(hashOf("uploaded"))).toBe(true);
  });

  it("serves ranges and tells nothing of what it holds to strangers", async () => {
    const { url } = await artifactNode("a", "127.0.0.1");
    await upload(url, "0123456789");
    const path = `${url}/artifacts/${hashOf("0123456789")}`;
    const part = await fetch(path, { headers: { ...bearer(TOKEN), range: "bytes=2-4" } });
    expect([part.status, await part.text()]).toEqual([206, "234"]);
    expect(part.headers.get("content-range")).toBe("bytes 2-4/10");
    const beyond = await fetch(path, { headers: { ...bearer(TOKEN), range: "bytes=10-" } });
    expect(beyond.status).toBe(416);
    const absent = `${url}/artifacts/${hashOf("absent")}`;
    expect((await fetch(absent, { headers: bearer(TOKEN) })).status).toBe(404);
    expect((await fetch(absent)).status).toBe(401);
    expect((await fetch(`${url}/other`)).status).toBe(401);
    const deleted = await fetch(path, { method: "DELETE", headers: bearer(TOKEN) });
    expect(deleted.status).toBe(405);
  });

  it("refuses what is empty, too large by its word or by its length, or badly named", async () => {
    const { url, store } = await artifactNode("a", "127.0.0.1", 1_000);
    const empty = await upload(url, "");
    expect([empty.status, await empty.json()]).toMatchObject([
      400,
      { error: { message: "file film.mp4 is empty" } },
    ]);
    expect((await upload(url, "x".repeat(1_001))).status).toBe(413);
    expect((await upload(url, "x", TOKEN, "../x")).status).toBe(400);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const outgoing = request(
        `${url}/artifacts`,
        { method: "POST", headers: bearer(TOKEN) },
        (response) => resolve(response.resume().statusCode),
      );
      outgoing.on("error", reject);
      outgoing.write("x".repeat(600)); // chunked: its length is not announced
      outgoing.write("x".repeat(600), () => outgoing.end());
    });
    expect(status).toBe(413);
    expect((await upload(url, "a".repeat(900))).status).toBe(201);
    const full = await upload(url, "b".repeat(900));
    expect([full.status, await full.json()]).toMatchObject([
      507,
      { error: { code: "STORE_FULL", retryable: true } },
    ]);
    expect(store.storedBytes).toBe(900);
  });

  it("keeps nothing of an upload that breaks off", async () => {
    const { url, store } = await artifactNode("a", "127.0.0.1", 1_000);
    await new Promise<void>((resolve) => {
      const headers = { ...bearer(TOKEN), "content-length": 500 };
      const outgoing = request(`${url}/artifacts`, { method: "POST", headers });
      outgoing.on("error", () => resolve());
      outgoing.write("half", () => outgoing.destroy(new Error("cut")));
    });
    // The whole store is free again as soon as the server has seen the end.
    await expect
      .poll(async () => (await upload(url, "x".repeat(1_000))).status, { timeout: 5_000 })
      .toBe(201);
    expect(store.count).toBe(1);
  });
});

function canMakeNamespaces(): boolean {
  try {
    execFileSync("ip", ["netns", "add", `mkprobe${process.pid}`], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", `mkprobe${process.pid}`], { stdio: "ignore" });
    return true;
  } catch {
    return false; // not root, no ip(8), or a kernel without namespaces
  }
}

const hasNamespaces = canMakeNamespaces();
describe.skipIf(!hasNamespaces)(
  "across network namespaces (skipped where `ip netns` is not permitted)",
  () => {
    it("serves a client in another namespace with the token and refuses it without", async () => {
      const name = `mk${process.pid}`;
      const ip = (...args: string[]): void => void execFileSync("ip", args);
      ip("netns", "add", name);
      onTestFinished(() => ip("netns", "del", name));
      ip("link", "add", `${name}a`, "type", "veth", "peer", "name", `${name}b`, "netns", name);
      ip("addr", "add", "198.18.77.1/30", "dev", `${name}a`);
      ip("link", "set", `${name}a`, "up");
      ip("-n", name, "addr", "add", "198.18.77.2/30", "dev", `${name}b`);
      ip("-n", name, "link", "set", `${name}b`, "up");
      const { url } = await artifactNode("a", "198.18.77.1");
      await upload(url, CONTENT);
      const get = (secret: string): Promise<string> =>
        new Promise((resolve) => {
          const script = `fetch(process.argv[1], { headers: { authorization: "Bearer " + process.argv[2] } })
          .then(async (r) => console.log(r.status, (await r.arrayBuffer()).byteLength))`;
          const path = `${url}/artifacts/${hashOf(CONTENT)}`;
          const args = ["netns", "exec", name, process.execPath, "-e", script, path, secret];
          const client = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
          let output = "";
          client.stdout.on("data", (chunk: Buffer) => {
            output += chunk.toString();
          });
          client.on("close", () => resolve(output.trim()));
        });
      expect(await get(TOKEN)).toBe(`200 ${CONTENT.length}`);
      expect(await get("another-token-of-16")).toMatch(/^401 /);
    });
  },
);
