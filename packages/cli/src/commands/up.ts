/** `murakkab up`: a cluster on this host until Ctrl-C. */
import { redactUrl, removeCurrentCluster, writeCurrentCluster } from "@murakkab/sdk";
import { AGENT_COUNT_MAX } from "../cluster/share-host.ts";
import type { ClusterOptions } from "../cluster/start-cluster.ts";
import { SCHEDULER_COUNT_MAX, startCluster } from "../cluster/start-cluster.ts";
import type { CommonOptions, Context } from "../context.ts";
import { orInterrupted, printJson } from "../context.ts";
import { parseCount } from "../parse-options.ts";

export interface UpFlags extends CommonOptions {
  readonly schedulers?: string;
  readonly agents?: string;
  readonly data?: string;
  readonly library?: readonly string[];
  readonly inputRoot?: string;
  readonly insecure?: boolean;
}

export function clusterOptions(
  { env, cwd, signal }: Context,
  flags: UpFlags,
  onProgress: (text: string) => void,
): ClusterOptions {
  const natsUrl = flags.nats ?? (env["NATS_URL"] || undefined);
  return {
    ...(natsUrl === undefined ? {} : { natsUrl }),
    ...(flags.data === undefined ? {} : { dataDir: flags.data }),
    schedulerCount: parseCount("schedulers", flags.schedulers ?? "1", SCHEDULER_COUNT_MAX),
    agentCount: parseCount("agents", flags.agents ?? "2", AGENT_COUNT_MAX),
    libraries: flags.library ?? [],
    inputRoot: flags.inputRoot ?? cwd,
    isInsecure: flags.insecure === true,
    ...{ env, signal, onProgress },
  };
}

export async function up(context: Context, flags: UpFlags): Promise<number> {
  const { stdout, stderr, env, signal } = context;
  const say = (text: string): void => void stderr.write(`${text}\n`);
  const isJson = flags.json === true;
  const cluster = await startCluster(
    clusterOptions(context, flags, isJson ? () => undefined : say),
  );
  try {
    const { natsUrl, nodes, dataDir } = cluster;
    await writeCurrentCluster(env, { natsUrl, pid: process.pid, dataDir });
    if (isJson) {
      printJson(stdout, {
        event: "ready",
        natsUrl: redactUrl(natsUrl),
        nodes,
        pid: process.pid,
        dataDir,
      });
    } else {
      stdout.write(
        [
          `cluster is ready: ${redactUrl(natsUrl)}, nodes ${nodes.join(", ")}`,
          `data and logs: ${dataDir}`,
          `try: murakkab submit "What is said?" --input talk.mp4 --watch`,
          "Ctrl-C stops it",
          "",
        ].join("\n"),
      );
    }
    const death = await orInterrupted(cluster.died, signal);
    throw death;
  } finally {
    if (!isJson) say("stopping");
    await removeCurrentCluster(env, process.pid);
    await cluster.stop();
  }
}
