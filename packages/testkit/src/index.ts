export * from "./cluster/real-cluster.ts";
export * from "./executor-builder.ts";
export * from "./nats/store-copy.ts";
export * from "./sim/sim-fleet.ts";
export * from "./sim/sim-host.ts";
export * from "./video-executors.ts";
export * from "./virtual-clock.ts";
export * from "./wait-for.ts";
