export * from "./actor.ts";
