/** What users may name as inputs: paths below roots, URLs of public hosts. Local servers only. */
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { isPublicAddress } from "../../src/adapters/address-guard.ts";
import { FilePaths } from "../../src/adapters/file-paths.ts";
import { InputSources } from "../../src/adapters/input-sources.ts";
import type { UrlOptions } from "../../src/adapters/url-source.ts";
import { temporaryDir } from "../fixtures/temporary.ts";

const LIMITS = { remainingMs: 5_000, bytesMax: 1_000 };

async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("addresses", () => {
  it.each([
    "8.8.8.8",
    "1.1.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "64:ff9b::808:808",
  ])("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
  it.each([
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "::127.0.0.1",
    "nonsense",
    "",
  ])("%s is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe("paths", () => {
  const rootWith = (...files: string[]): { dir: string; root: string } => {
    const dir = temporaryDir();
    const root = join(dir, "root");
    mkdirSync(root);
    for (const file of files) writeFileSync(join(root, file), `content of ${file}`);
    writeFileSync(join(dir, "secret.txt"), "secret");
    return { dir, root };
  };
  const open = (source: string, inputRoots: string[]) =>
    new InputSources({ inputRoots, arePrivateUrlsAllowed: false }).open(source, LIMITS);

  it("opens files below a root, by relative and absolute path", async () => {
    const { root } = rootWith("a.mp4");
    for (const source of ["a.mp4", "./a.mp4", join(root, "a.mp4")]) {
      const opened = await open(source, ["/nonexistent", root]);
      expect(opened).toMatchObject({ name: "a.mp4", mediaType: "video/mp4", bytes: 16 });
      expect(await read(opened.stream)).toBe("content of a.mp4");
    }
  });

  it("refuses what leads outside, links and pipes included, with one sentence", async () => {
    const { dir, root } = rootWith("empty");
    writeFileSync(join(root, "empty"), "");
    symlinkSync(join(dir, "secret.txt"), join(root, "link"));
    symlinkSync(dir, join(root, "up"));
    execFileSync("mkfifo", [join(root, "pipe")]);
    for (const source of [
      "../secret.txt",
      join(dir, "secret.txt"),
      "link",
      "up/secret.txt",
      "/etc/passwd",
      "missing",
    ]) {
      await expect(open(source, [root])).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: `path ${source} is outside the input roots or does not exist, expected a file below ${root}`,
      });
    }
    await expect(open("pipe", [root])).rejects.toMatchObject({
      message: "path pipe is not a regular file, expected a regular file",
    });
    await expect(open("empty", [root])).rejects.toMatchObject({ message: "file empty is empty" });
    await expect(open("a.mp4", [])).rejects.toMatchObject({
      message: expect.stringContaining(
        "path a.mp4 is outside the input roots (this node has none)",
      ),
    });
    await expect(open("file:///etc/passwd", [root])).rejects.toMatchObject({
      message: "input file://… is not valid, expected an http or https URL or a path",
    });
  });

  it("resolves results only below the scratch directory", async () => {
    const { dir, root } = rootWith("out.wav");
    symlinkSync(join(dir, "secret.txt"), join(root, "link"));
    const paths = new FilePaths();
    expect(await paths.resolveBelow(root, join(root, "out.wav"))).toContain("root/out.wav");
    expect(await paths.resolveBelow(root, join(root, "link"))).toBeNull();
    expect(await paths.resolveBelow(root, root)).toBeNull();
  });
});

describe("URLs", () => {
  const serving = async (listener: RequestListener): Promise<number> => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  };
  const open = (url: string, options: Partial<UrlOptions> = {}, limits = LIMITS) =>
    new InputSources({ inputRoots: [], arePrivateUrlsAllowed: true, ...options }).open(url, limits);
  const resolveTo = (...addresses: string[]) =>
    ((_host: string, _options: unknown, callback: (e: null, all: unknown) => void) => {
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
    }) as unknown as NonNullable<UrlOptions["resolve"]>;

  it("reads through redirects", async () => {
    const port = await serving((request, response) => {
      if (request.url === "/start") response.writeHead(302, { location: "/films/a%20b.mp4?x=1" });
      response.end("film");
    });
    const opened = await open(`http://127.0.0.1:${port}/start`);
    expect(opened).toMatchObject({ name: "a b.mp4", mediaType: "video/mp4", bytes: 4 });
    expect(await read(opened.stream)).toBe("film");
  });

  it("refuses private addresses in any spelling, and names that lead there", async () => {
    let requestCount = 0;
    const port = await serving((_request, response) => {
      requestCount += 1;
      response.end();
    });
    for (const host of [
      "127.0.0.1",
      "2130706433",
      "0x7f.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "localhost",
    ]) {
      await expect(
        open(`http://${host}:${port}/`, { arePrivateUrlsAllowed: false }),
      ).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringMatching(
          /leads to a private or reserved address, expected a public one$/,
        ),
      });
    }
    const mixed = resolveTo("8.8.8.8", "127.0.0.1");
    await expect(
      open(`http://films.example:${port}/`, { arePrivateUrlsAllowed: false, resolve: mixed }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(requestCount).toBe(0);
  });

  it("checks each hop: a public name that redirects inside is refused", async () => {
    let requestCount = 0;
    const port = await serving((_request, response) => {
      requestCount += 1;
      response.writeHead(302, { location: "http://inside.example/" });
      response.end();
    });
    const resolve = ((
      host: string,
      _options: unknown,
      callback: (e: null, all: unknown) => void,
    ) => {
      const address = host === "inside.example" ? "127.0.0.2" : "127.0.0.1";
      callback(null, [{ address, family: 4 }]);
    }) as unknown as NonNullable<UrlOptions["resolve"]>;
    const options = {
      resolve,
      arePrivateUrlsAllowed: false,
      isAllowed: (address: string) => address === "127.0.0.1", // stands for the public ones
    };
    await expect(open(`http://outside.example:${port}/`, options)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message:
        "URL host inside.example leads to a private or reserved address, expected a public one",
    });
    expect(requestCount).toBe(1);
  });

  it("bounds redirects, size and time, and passes on what the server says", async () => {
    const port = await serving((request, response) => {
      const url = request.url ?? "";
      if (url === "/loop") response.writeHead(302, { location: "/loop" }).end();
      else if (url === "/big") response.writeHead(200, { "content-length": 5_000 }).end();
      else if (url.startsWith("/gone")) response.writeHead(404).end();
      else if (url === "/busy") response.writeHead(503).end();
      else if (url === "/cut") {
        response.writeHead(200, { "content-length": 10 });
        response.write("half", () => response.destroy());
      } // everything else is never answered
    });
    const at = (path: string) => `http://127.0.0.1:${port}${path}`;
    await expect(open(at("/loop"))).rejects.toMatchObject({
      message: expect.stringContaining("redirects too often, expected at most 5"),
    });
    await expect(open(at("/big"))).rejects.toMatchObject({ code: "ARTIFACT_TOO_LARGE" });
    await expect(open(at("/gone?key=secret"))).rejects.toMatchObject({
      kind: "terminal",
      message: `URL ${at("/gone")} answered HTTP 404, expected 200`,
    });
    await expect(open(at("/busy"))).rejects.toMatchObject({ kind: "retryable" });
    const cut = await open(at("/cut"));
    await expect(read(cut.stream)).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    const slow = open(at("/slow"), {}, { remainingMs: 50, bytesMax: 10 });
    await expect(slow).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE", kind: "retryable" });
    await expect(open(`http://u:p@127.0.0.1:${port}/`)).rejects.toMatchObject({
      message: expect.stringContaining("carries a user name or password"),
    });
  });
});
