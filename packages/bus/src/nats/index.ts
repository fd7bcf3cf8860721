/** Entry for processes: the NATS adapter and the clock of the real world. */
export * from "./bus-safety.ts";
export { connectNats, type NatsBusOptions } from "./nats-bus.ts";
export * from "./server-address.ts";
export { SYSTEM_CLOCK } from "./system-clock.ts";
export { readTokenFile } from "./token-file.ts";
