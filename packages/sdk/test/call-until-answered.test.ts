/** C1 to C3: repeats are sent when they help, and end when they do not. Small times, real clock. */
import { createMemoryBus, serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import {
  InvalidArgumentError,
  OverloadedError,
  RetryableError,
  seededRandom,
  UnavailableError,
} from "@murakkab/kit";
import { nodeProbeSchema } from "@murakkab/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { callUntilAnswered, type RepeatPolicy } from "../src/call-until-answered.ts";

const POLICY: RepeatPolicy = { silenceMs: [20, 40], totalMs: 400, absentMs: 120, troubleMs: 150 };
const NEVER = new Promise<never>(() => undefined);
const SUBJECT = "mk.v1.job.submit";

let bus: ReturnType<typeof createMemoryBus>;
/** What the server does with each request, in order; the last one counts for all further. */
let answers: (() => unknown)[];
let count: number;

beforeEach(() => {
  bus = createMemoryBus({ clock: SYSTEM_CLOCK, random: seededRandom("repeats") });
  count = 0;
});

function listen(): void {
  const schema = nodeProbeSchema; // Anything.
  const onDefect = (error: unknown): never => {
    throw error;
  };
  serve(bus.messaging, { subject: SUBJECT, schema, what: "request", onDefect }, () => {
    const answer = answers[Math.min(count, answers.length - 1)];
    count += 1;
    return answer?.();
  });
}

function ask(policy: Partial<RepeatPolicy> = {}, signal?: AbortSignal): Promise<unknown> {
  const options = { policy: { ...POLICY, ...policy } };
  return callUntilAnswered(
    bus.messaging,
    { subject: SUBJECT, value: {} },
    signal === undefined ? options : { ...options, signal },
  );
}

const refuse = (error: Error) => () => {
  throw error;
};

describe("a request", () => {
  test("that nobody answers is sent again, and the first answer counts", async () => {
    answers = [() => NEVER, () => NEVER, () => ({ ok: true })];
    listen();
    expect(await ask()).toEqual({ ok: true });
    expect(count).toBe(3);
  });

  test("that is answered late is answered by its first try", async () => {
    let answerFirst: (value: unknown) => void = () => undefined;
    const late = new Promise((resolve) => (answerFirst = resolve));
    answers = [
      () => late,
      () => {
        answerFirst({ first: true });
        return NEVER;
      },
    ];
    listen();
    expect(await ask()).toEqual({ first: true });
  });

  test("is repeated after errors that may pass, and not after others", async () => {
    const fenced = new RetryableError("FENCED", "another scheduler has it");
    answers = [refuse(fenced), refuse(new UnavailableError("away")), () => ({ ok: true })];
    listen();
    expect(await ask()).toEqual({ ok: true });
    answers = [refuse(new InvalidArgumentError("wrong"))];
    count = 0;
    await expect(ask()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(count).toBe(1);
  });

  test("finds a scheduler that comes a little later", async () => {
    answers = [() => ({ ok: true })];
    setTimeout(listen, 60);
    expect(await ask()).toEqual({ ok: true });
  });

  test("ends with the error when nobody comes, or trouble lasts, or silence", async () => {
    await expect(ask()).rejects.toMatchObject({ code: "NO_RESPONDERS" });
    answers = [refuse(new UnavailableError("away"))];
    listen();
    await expect(ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    answers = [() => NEVER];
    await expect(ask()).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("ends with the reason of its caller's signal", async () => {
    answers = [() => NEVER];
    listen();
    const abort = new AbortController();
    const asked = ask({}, abort.signal);
    abort.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
  });
});

describe("a full cluster", () => {
  const full = new OverloadedError("full", { retryAfterMs: 30 });

  test("is told to the caller, unless it asked for repeats", async () => {
    answers = [refuse(full), () => ({ ok: true })];
    listen();
    await expect(ask()).rejects.toMatchObject({ code: "OVERLOADED", retryAfterMs: 30 });
    count = 0;
    expect(await ask({ overloadedMs: 200 })).toEqual({ ok: true });
    answers = [refuse(full)];
    await expect(ask({ overloadedMs: 70 })).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("does not end a request whose first try may have been accepted", async () => {
    answers = [() => NEVER, refuse(full), refuse(full), () => ({ ok: true })];
    listen();
    expect(await ask()).toEqual({ ok: true });
  });
});
