export * from "./nats-server-binary.ts";
export { canSyncAlways, type NatsServerSettings } from "./nats-server-config.ts";
export * from "./nats-server-process.ts";
