/** What ffprobe says of files, the real one included: it is a program that the product needs. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Ffprobe, interpretProbe } from "../../src/adapters/ffprobe.ts";
import { temporaryDir } from "../fixtures/temporary.ts";

const FILE = { type: "file", hasAudio: false, hasPictures: false, durationSec: null };
const UNREADABLE = {
  media: FILE,
  problem: "file {name} is not a media file that ffprobe can read",
};

describe("ffprobe", () => {
  it("tells video, audio, pictures and none of them apart", async () => {
    const dir = temporaryDir();
    const make = (name: string, ...args: string[]): string => {
      execFileSync("ffmpeg", ["-v", "error", ...args, join(dir, name)]);
      return join(dir, name);
    };
    const picture = ["-f", "lavfi", "-i", "color=c=red:s=32x32:d=1"];
    const tone = ["-f", "lavfi", "-i", "sine=d=1"];
    const probe = new Ffprobe();
    expect(await probe.probe(make("v.mp4", ...picture, ...tone, "-shortest"))).toMatchObject({
      media: { type: "video", hasAudio: true, hasPictures: true },
    });
    expect(await probe.probe(make("silent.mp4", ...picture))).toMatchObject({
      media: { type: "video", hasAudio: false, hasPictures: true, durationSec: 1 },
    });
    expect(await probe.probe(make("a.wav", ...tone))).toMatchObject({
      media: { type: "audio", hasAudio: true, hasPictures: false, durationSec: 1 },
    });
    expect(await probe.probe(make("p.png", ...picture, "-frames:v", "1"))).toMatchObject({
      media: { type: "image", hasPictures: true, durationSec: null },
    });
    writeFileSync(join(dir, "text.mp4"), "this is no film\n".repeat(50));
    expect(await probe.probe(join(dir, "text.mp4"))).toEqual(UNREADABLE);
    const playlist = `#EXTM3U\n#EXTINF:1,\nfile:${join(dir, "a.wav")}\n#EXT-X-ENDLIST\n`;
    writeFileSync(join(dir, "list.m3u8"), playlist);
    expect(await probe.probe(join(dir, "list.m3u8"))).toEqual(UNREADABLE);
  });

  it("says so when it is not there", async () => {
    expect(await new Ffprobe({ program: "/nonexistent/ffprobe" }).probe("x")).toEqual({
      media: null,
      problem: "ffprobe is not on this node's PATH",
    });
  });

  it("takes a cover picture for no pictures, and drawn text for no media", () => {
    const cover = {
      format: { format_name: "mp3", duration: "3.5" },
      streams: [{ codec_type: "audio" }, { codec_type: "video", disposition: { attached_pic: 1 } }],
    };
    expect(interpretProbe(JSON.stringify(cover)).media).toEqual({
      type: "audio",
      hasAudio: true,
      hasPictures: false,
      durationSec: 3.5,
    });
    const drawn = { format: { format_name: "tty" }, streams: [{ codec_type: "video" }] };
    expect(interpretProbe(JSON.stringify(drawn))).toEqual(UNREADABLE);
    expect(interpretProbe("nonsense")).toEqual(UNREADABLE);
  });
});
