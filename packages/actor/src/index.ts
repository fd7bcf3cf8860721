export * from "./actor.ts";
export * from "./actor-system.ts";
export * from "./lifecycle.ts";
export * from "./mailbox.ts";
