/** The configuration file of a nats-server that we start: only what its version knows. */
import type { NatsServerVersion } from "./nats-server-binary.ts";

export interface NatsServerSettings {
  readonly host: string;
  /** -1 = the server chooses a free one. */
  readonly port: number;
  readonly storeDirectory: string;
  readonly portsDirectory: string;
  readonly serverName?: string;
  readonly maxPayloadBytes?: number;
  /**
   * On the disk before it is acknowledged. Default true. Servers before 2.10 cannot: they write
   * through every 2 minutes whatever is asked for (docs/durability.md).
   */
  readonly isSyncAlways?: boolean;
  /** Lines added as they are: accounts, permissions, TLS, cluster. */
  readonly extraConfig?: string;
}

export function natsServerConfig(settings: NatsServerSettings, version: NatsServerVersion): string {
  const { host, port, storeDirectory, portsDirectory, serverName, maxPayloadBytes } = settings;
  const jetStream = [`store_dir: ${JSON.stringify(storeDirectory)}`];
  if (settings.isSyncAlways !== false && canSyncAlways(version)) {
    jetStream.push("sync_interval: always");
  }
  return [
    `host: ${JSON.stringify(host)}`,
    `port: ${port}`,
    `ports_file_dir: ${JSON.stringify(portsDirectory)}`,
    ...(serverName === undefined ? [] : [`server_name: ${JSON.stringify(serverName)}`]),
    ...(maxPayloadBytes === undefined ? [] : [`max_payload: ${maxPayloadBytes}`]),
    `jetstream { ${jetStream.join(", ")} }`,
    settings.extraConfig ?? "",
    "",
  ].join("\n");
}

/** To an older server the key is unknown, which is a fatal error for it. */
export function canSyncAlways(version: NatsServerVersion): boolean {
  return isAtLeast(version, 2, 10);
}

function isAtLeast(version: NatsServerVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
