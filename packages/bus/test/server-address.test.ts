/** Goal: addresses are understood and their credentials stay hidden. Method: a table. */
import { expect, test } from "vitest";
import { parseServerAddresses } from "../src/nats/index.ts";

test.each([
  ["127.0.0.1:4333", { hostPorts: ["127.0.0.1:4333"], display: "nats://127.0.0.1:4333" }],
  ["nats://host", { hostPorts: ["host:4222"], isTls: false }],
  ["tls://host:1", { isTls: true, display: "tls://host:1" }],
  ["nats://u:p%40%3A@h:1, h2:2", { user: "u", password: "p@:", hostPorts: ["h:1", "h2:2"] }],
  ["nats://u:p@h:1", { display: "nats://h:1" }],
  ["nats://tok@h:1", { token: "tok" }],
  ["nats://[::1]:4222", { hostPorts: ["[::1]:4222"] }],
])("%s", (text, expected) => {
  expect(parseServerAddresses(text)).toMatchObject(expected);
});

test.each(["", " , ", "http://user:secret@h:1", "nats://user:secret@:1", "nats://h:secret"])(
  "%s is refused without repeating it",
  (text) => {
    expect(() => parseServerAddresses(text)).toThrow(/expected nats:\/\/host:port/);
    expect(() => parseServerAddresses(text)).not.toThrow(/secret/);
  },
);
