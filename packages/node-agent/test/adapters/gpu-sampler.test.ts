/**
 * The nvidia-smi parser and its guards, against a fake `nvidia-smi` on PATH that prints small XML
 * in the shapes that drivers use. Real outputs are parsed too where MURAKKAB_NVIDIA_SMI_SAMPLES
 * names a directory with some.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import type { Logger } from "@murakkab/kit";
import { SILENT_LOGGER } from "@murakkab/kit";
import { afterEach, describe, expect, it } from "vitest";
import { GpuSampler } from "../../src/adapters/gpu-sampler.ts";
import { gpusInCsv, gpusInReport } from "../../src/adapters/nvidia-smi-report.ts";
import { isLinux, processTree } from "../../src/adapters/proc.ts";
import { temporaryDir, until } from "../fixtures/temporary.ts";

const realPath = process.env["PATH"] ?? "";
afterEach(() => {
  process.env["PATH"] = realPath;
});

function gpuXml(changes: { uuid?: string; power?: string; util?: string } = {}): string {
  const { uuid = "GPU-1", util = "37 %" } = changes;
  const power =
    changes.power ?? "<power_readings><power_draw>71.50 W</power_draw></power_readings>";
  return `<gpu id="0"><product_name>Test 9000</product_name><uuid>${uuid}</uuid>
    <mig_devices>None</mig_devices>
    <fb_memory_usage><total>1024 MiB</total><used>256 MiB</used></fb_memory_usage>
    <utilization><gpu_util>${util}</gpu_util></utilization>
    <temperature><gpu_temp>45 C</gpu_temp></temperature>${power}<processes></processes></gpu>`;
}

const logXml = (...gpus: string[]): string =>
  `<?xml version="1.0" ?><!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
  <nvidia_smi_log><attached_gpus>${gpus.length}</attached_gpus>${gpus.join("")}</nvidia_smi_log>`;

/** Puts a shell script named nvidia-smi first on PATH. */
function fakeSmi(script: string): string {
  const dir = temporaryDir();
  writeFileSync(join(dir, "nvidia-smi"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, "nvidia-smi"), 0o755);
  process.env["PATH"] = `${dir}${delimiter}${realPath}`;
  return process.env["PATH"];
}

const printing = (xml: string): string => `cat <<'END'\n${xml}\nEND`;

async function samplerOf(path: string, log: Logger = SILENT_LOGGER, askMsMax = 5_000) {
  const time = { nowMs: 0 };
  const sampler = new GpuSampler(log, { path, monotonicMs: () => time.nowMs, askMsMax });
  await sampler.start();
  return { sampler, time };
}

const CARD = {
  uuid: "GPU-1",
  index: 0,
  name: "Test 9000",
  memoryTotalBytes: 1_073_741_824,
  memoryUsedBytes: 268_435_456,
  utilizationRatio: 0.37,
  powerWatts: 71.5,
  temperatureC: 45,
};

describe("GPU sampler", () => {
  it("reads one card and several", async () => {
    const one = await samplerOf(fakeSmi(printing(logXml(gpuXml()))));
    expect(one.sampler.sample()).toEqual([CARD]);
    const xml = logXml(gpuXml(), gpuXml({ uuid: "GPU-2" }));
    const two = await samplerOf(fakeSmi(printing(xml)));
    expect(two.sampler.sample().map(({ uuid, index }) => [uuid, index])).toEqual([
      ["GPU-1", 0],
      ["GPU-2", 1],
    ]);
  });

  it("takes every name for power, and N/A as unknown", async () => {
    const readings = (fields: string): string =>
      `<gpu_power_readings>${fields}</gpu_power_readings>`;
    const xml = logXml(
      gpuXml({
        power: readings(
          "<average_power_draw>N/A</average_power_draw><instant_power_draw>11.63 W</instant_power_draw>",
        ),
      }),
      gpuXml({ uuid: "GPU-2", power: readings("<power_draw>[Unknown Error]</power_draw>") }),
      gpuXml({ uuid: "GPU-3", power: "", util: "N/A" }),
    );
    const { sampler } = await samplerOf(fakeSmi(printing(xml)));
    const samples = sampler.sample();
    expect(samples.map(({ powerWatts }) => powerWatts)).toEqual([11.63, null, null]);
    expect(samples[2]?.utilizationRatio).toBeNull();
  });

  it("falls back to CSV when the library fails on a warning", async () => {
    const csv = "0, GPU-1, Test 9000, 1024, 256, 37, 71.50, 45";
    const path = fakeSmi(`case "$1" in
      -q) echo warning >&2; ${"echo '<x/>'"};;
      *) echo "${csv}";; esac`);
    const { sampler } = await samplerOf(path);
    expect(sampler.sample()).toEqual([CARD]);
  });

  it("is without cards and silent where nvidia-smi is not there", async () => {
    const { sampler } = await samplerOf("/nonexistent");
    expect(sampler.sample()).toEqual([]);
  });

  it("warns once while the driver fails, keeps the cards, and forgets old figures", async () => {
    const warnings: string[] = [];
    const log: Logger = {
      ...SILENT_LOGGER,
      warn: (fields) => warnings.push(String(fields["event"])),
    };
    const dir = temporaryDir();
    writeFileSync(join(dir, "xml"), logXml(gpuXml()));
    const script = `test -f ${dir}/xml || { echo 'driver down'; exit 9; }; echo x >> ${dir}/asked; cat ${dir}/xml`;
    const { sampler, time } = await samplerOf(fakeSmi(script), log);
    expect(sampler.sample()).toEqual([CARD]);
    rmSync(join(dir, "xml"));
    time.nowMs = 10_000;
    expect(sampler.sample()).toEqual([CARD]);
    await until("warned", () => warnings.length === 1);
    time.nowMs = 60_000;
    expect(sampler.sample()).toEqual([
      {
        ...CARD,
        memoryUsedBytes: null,
        utilizationRatio: null,
        powerWatts: null,
        temperatureC: null,
      },
    ]);
    writeFileSync(join(dir, "xml"), logXml(gpuXml()));
    await until("works again", () => {
      time.nowMs += 5_000;
      return sampler.sample()[0]?.powerWatts === 71.5;
    });
    expect(warnings).toEqual(["gpu.sample-failed"]);
  });

  it.runIf(isLinux)("gives up on a driver that hangs and leaves no process", async () => {
    const startedAtMs = performance.now();
    const { sampler } = await samplerOf(fakeSmi("exec sleep 1000"), SILENT_LOGGER, 300);
    expect(sampler.sample()).toEqual([]);
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
    const isSleeping = (pid: number): boolean => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === "1000";
      } catch {
        return false;
      }
    };
    await until("no process left", () => !processTree(process.pid).some(isSleeping));
  });

  it("survives output that is no report", () => {
    for (const report of [
      null,
      undefined,
      "",
      {},
      { nvidia_smi_log: "" },
      { nvidia_smi_log: { gpu: "" } },
    ]) {
      expect(gpusInReport(report)).toEqual([]);
    }
    expect(gpusInReport({ nvidia_smi_log: { gpu: { product_name: "no identity" } } })).toEqual([]);
    expect(gpusInCsv("No devices were found\n")).toEqual([]);
    expect(gpusInCsv("0, GPU-1, X, [N/A], 5, [Not Supported], , 30")).toMatchObject([
      { memoryTotalBytes: null, utilizationRatio: null, powerWatts: null, temperatureC: 30 },
    ]);
  });

  const samplesDir = process.env["MURAKKAB_NVIDIA_SMI_SAMPLES"] ?? "";
  it.skipIf(!existsSync(samplesDir))(
    "reads real outputs (skipped unless MURAKKAB_NVIDIA_SMI_SAMPLES names a directory of them)",
    async () => {
      const fromLibrary = createRequire(createRequire(import.meta.url).resolve("node-nvidia-smi"))(
        "xml2js",
      ) as {
        parseStringPromise(xml: string, options: object): Promise<unknown>;
      };
      const files = readdirSync(samplesDir).filter((name) => name.endsWith(".xml"));
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) {
        const xml = readFileSync(join(samplesDir, file), "utf8");
        const report = await fromLibrary.parseStringPromise(xml, {
          explicitArray: false,
          trim: true,
        });
        const gpus = gpusInReport(report);
        expect(gpus.length, file).toBeGreaterThan(0);
        for (const gpu of gpus) {
          expect(gpu.memoryTotalBytes, file).toBeGreaterThan(1e9);
          expect(gpu.temperatureC, file).toBeGreaterThan(0);
        }
      }
    },
  );
});
