/** Entry for processes: the NATS adapter and the clock of the real world. */
export { connectNats, type NatsBusOptions } from "./nats-bus.ts";
export * from "./server-address.ts";
export { SYSTEM_CLOCK } from "./system-clock.ts";
