/** Goal: credentials do not leave the process in texts; ordinary words do. */

import { redact } from "@murakkab/kit";
import { expect, test } from "vitest";

test.each([
  ["nats://user:hunter2@host:4222 refused", "nats://***@host:4222 refused"],
  ["Authorization: Bearer abc.def-ghi123", "Authorization: Bearer ***"],
  ["--api-key=hunter2 next", "--api-key=*** next"],
  ["password: 'a b' end", "password: *** end"],
  ["AKIAABCDEFGHIJKLMNOP", "***"],
  ["tokens per second: 12, secretary", "tokens per second: 12, secretary"],
  ["frame=  12 fps=25 https://host/path", "frame=  12 fps=25 https://host/path"],
])("%s", (text, clean) => {
  expect(redact(text)).toBe(clean);
});
