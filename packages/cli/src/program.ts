/**
 * The command line: names, options and help. Each command's code is loaded when it is called, so
 * that `murakkab --help` and the first line of `demo` do not wait for all of it.
 */
import { Command, Option } from "commander";
import type { UpFlags } from "./commands/up.ts";
import type { Context } from "./context.ts";

export const VERSION = "0.1.0";

type Done = (exitCode: number) => void;

/** `done` gets the exit code of the command that was called. */
export function buildProgram(context: Context, done: Done): Command {
  const program = new Command("murakkab")
    .description("Runs compound AI workflows on a fleet of hosts over NATS.")
    .version(VERSION, "-V, --version")
    .showHelpAfterError("(see murakkab --help)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "murakkab: ")),
    });
  addClusterCommands(program, context, done);
  addChaosCommand(program, context, done);
  addJobCommands(program, context, done);
  addViewCommands(program, context, done);
  addLibraryCommands(program, context, done);
  addProfileCommands(program, context, done);
  return program;
}

function common(command: Command, { hasJson = true } = {}): Command {
  command.option(
    "--nats <url>",
    "NATS server (default: NATS_URL, the cluster of `murakkab up`, nats://127.0.0.1:4222)",
  );
  if (hasJson) command.option("--json", "print JSON only on stdout");
  return command.option("--verbose", "show stacks of errors");
}

const collect = (value: string, before: readonly string[] | undefined): string[] => [
  ...(before ?? []),
  value,
];

function repeated(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).argParser(collect);
}

function addClusterOptions(command: Command): Command {
  return common(command)
    .option("--agents <count>", "node agents; they divide this host's cores and memory", "2")
    .option("--schedulers <count>", "scheduler processes that share the jobs", "1")
    .option("--data <dir>", "data directory, kept afterwards (default: a temporary one)")
    .addOption(repeated("--library <dir>", "further library directory"))
    .option("--input-root <dir>", "agents may read inputs below it (default: working directory)")
    .option("--insecure", "allow a bus without credentials that is not on this host");
}

function addClusterCommands(program: Command, context: Context, done: Done): void {
  addClusterOptions(
    program.command("up").description("start a cluster on this host and keep it until Ctrl-C"),
  ).action(async (flags: UpFlags) => {
    const { up } = await import("./commands/up.ts");
    done(await up(context, flags));
  });
  addClusterOptions(
    program
      .command("demo")
      .description("start a cluster, answer a question about the example video, stop"),
  )
    .option("--input <file>", "another video, or any file")
    .option("--question <text>", "another question")
    .addOption(repeated("--slo <bounds>", "other bounds or tier (default: good)"))
    .option("--objective <axis>", "what to make small within them (default: energy)")
    .option("--keep", "keep the data directory")
    .action(async (flags) => {
      const { demo } = await import("./commands/demo.ts");
      done(await demo(context, flags));
    });
  for (const [name, program_, what] of [
    [
      "scheduler",
      "scheduler",
      "run a scheduler process; --lease, --retention, --replicas, --active-jobs and what else --help lists are passed through",
    ],
    ["node", "node-agent", "run a node agent process; --help lists its flags"],
  ] as const) {
    program
      .command(`${name} [flags...]`)
      .description(what)
      .helpOption(false)
      .allowUnknownOption()
      .action(async (flags: string[]) => {
        const { runProcess } = await import("./commands/processes.ts");
        done(await runProcess(context, program_, flags));
      });
  }
}

function addChaosCommand(program: Command, context: Context, done: Done): void {
  program
    .command("chaos")
    .description("start a cluster on this host, load it, break it, and check that it kept its word")
    .option("--seed <number>", "the same seed breaks the same things (default: a random one)")
    .option("--for <time>", "how long faults are injected (default: 60s)")
    .option(
      "--kill <kinds>",
      "worker, agent, scheduler, nats, pause, disk; a list with commas (default: all)",
    )
    .option("--jobs-in-flight <count>", "jobs that run at any time (default: 16)")
    .option("--schedulers <count>", "scheduler processes (default: 2)")
    .option("--agents <count>", "node agents; they divide this host's cores (default: 2)")
    .option("--data <dir>", "data directory, kept afterwards (default: a temporary one)")
    .option("--log <file>", "write the timeline and what was seen of each job, as JSON lines")
    .option("--json", "print the result as JSON on stdout, the timeline on stderr")
    .option("--verbose", "show stacks of errors")
    .action(async (flags) => {
      const { chaos } = await import("./commands/chaos.ts");
      done(await chaos(context, flags));
    });
}

function addRequestOptions(command: Command): Command {
  return common(command)
    .option("--input <file...>", "files, artifact:// references or http(s) addresses")
    .option(
      "--workflow <name|file.yaml>",
      "a workflow of the library or of your own (default: planned)",
    )
    .addOption(
      repeated(
        "--slo <bounds>",
        'such as "cost<$2,latency<30s,energy<1Wh,quality>=0.8", or a tier: best, good, fair, basic',
      ),
    )
    .option("--objective <axis>", "cost, energy, latency, quality or resources")
    .addOption(repeated("--executor <capability=id>", "fix the executor of a capability"))
    .addOption(repeated("--knob <executor.knob=value>", "fix a knob"))
    .addOption(repeated("--label <name=value>", "only on nodes with this label"))
    .option("--on-host", "no data leaves the host that holds the inputs")
    .option(
      "--configuration <text>",
      "exactly what a receipt or a profile names; nothing is chosen",
    )
    .option("--tenant <name>", "who pays")
    .option("--deadline <time>", "give up after this time, such as 60s")
    .option("--fresh", "run every step, use no results of other jobs")
    .option("--id <uuid>", "job id of your own choice")
    .option("--idempotency-key <key>", "two submissions with one key are one job");
}

function addPictureOptions(command: Command): Command {
  return command
    .option("--all", "every option that was turned down, not only the most telling ones")
    .option("--html <file>", "write all of it as one page that needs nothing else")
    .option("--svg <file>", "write the picture of the frontier");
}

function addJobCommands(program: Command, context: Context, done: Done): void {
  addRequestOptions(
    program
      .command("submit [description]")
      .description("submit a job, wait, print answer and receipt"),
  )
    .option("--watch", "show its steps while it runs")
    .option("--no-wait", "print the job id once it is accepted")
    .option("--accept-offer <axis>", "let this axis give way when the bounds can't hold together")
    .action(async (description: string | undefined, flags) => {
      const { submit } = await import("./commands/submit.ts");
      done(await submit(context, description, flags));
    });
  addPictureOptions(
    addRequestOptions(
      program
        .command("plan [description]")
        .description("show the plan that a job would get, why, and its cost; run nothing"),
    ),
  ).action(async (description: string | undefined, flags) => {
    const { plan } = await import("./commands/plan.ts");
    done(await plan(context, description, flags));
  });
  addPictureOptions(
    common(
      program
        .command("explain <id>")
        .description("show why a job got its plan, and what became of what was predicted"),
    ),
  ).action(async (id: string, flags) => {
    const { explain } = await import("./commands/explain.ts");
    done(await explain(context, id, flags));
  });
  common(program.command("jobs").description("list jobs, newest first"))
    .option("--limit <count>", "at most this many", "20")
    .action(async (flags) => {
      const { jobs } = await import("./commands/jobs.ts");
      done(await jobs(context, flags));
    });
  common(program.command("job <id>").description("show a job: its plan, or its receipt")).action(
    async (id: string, flags) => {
      const { job } = await import("./commands/jobs.ts");
      done(await job(context, id, flags));
    },
  );
  common(program.command("cancel <id>").description("cancel a job"))
    .option("--reason <text>", "shown in its receipt")
    .action(async (id: string, flags) => {
      const { cancel } = await import("./commands/jobs.ts");
      done(await cancel(context, id, flags));
    });
  common(program.command("get <artifact>").description("save an artifact of a job as a file"))
    .requiredOption("--out <file>", "where to")
    .action(async (artifact: string, flags) => {
      const { get } = await import("./commands/jobs.ts");
      done(await get(context, artifact, flags));
    });
  common(
    program.command("events [job]").description("follow a job's events, or all of them"),
  ).action(async (id: string | undefined, flags) => {
    const { events } = await import("./commands/events.ts");
    done(await events(context, id, flags));
  });
}

function addViewCommands(program: Command, context: Context, done: Done): void {
  common(program.command("nodes").description("list nodes")).action(async (flags) => {
    const { nodes } = await import("./commands/fleet.ts");
    done(await nodes(context, flags));
  });
  common(program.command("instances").description("list running instances")).action(
    async (flags) => {
      const { instances } = await import("./commands/fleet.ts");
      done(await instances(context, flags));
    },
  );
  common(
    program.command("schedulers").description("list the schedulers: who leads, who owns how much"),
  ).action(async (flags) => {
    const { schedulers } = await import("./commands/schedulers.ts");
    done(await schedulers(context, flags));
  });
  common(program.command("telemetry").description("one line per node and second"))
    .option("--once", "one line per node, then end")
    .action(async (flags) => {
      const { telemetry } = await import("./commands/fleet.ts");
      done(await telemetry(context, flags));
    });
  common(program.command("doctor").description("check this host, the bus and the cluster")).action(
    async (flags) => {
      const { doctor } = await import("./doctor/doctor.ts");
      done(await doctor(context, flags));
    },
  );
}

function addLibraryCommands(program: Command, context: Context, done: Done): void {
  const library = program.command("library").description("executors and workflows");
  common(library.command("list").description("list them")).action(async (flags) => {
    const { listLibrary } = await import("./commands/library.ts");
    done(await listLibrary(context, flags));
  });
  common(library.command("show <name>").description("show one")).action(
    async (name: string, flags) => {
      const { showLibrary } = await import("./commands/library.ts");
      done(await showLibrary(context, name, flags));
    },
  );
  common(library.command("check [dir]").description("check library files")).action(
    async (dir: string | undefined, flags) => {
      const { checkLibrary } = await import("./commands/library.ts");
      done(await checkLibrary(context, dir, flags));
    },
  );
}

function addProfileCommands(program: Command, context: Context, done: Done): void {
  common(
    program
      .command("profile <executor|workflow>")
      .description("run it on the cluster over its knobs, and learn times, costs and quality"),
  )
    .option("--dataset <file>", "labelled questions, with the video that they are about")
    .option("--input <file...>", "run on these instead of the dataset's video")
    .option("--budget <time>", "stop after this time, such as 90s (default: 5m)")
    .addOption(repeated("--knob <executor.knob=values>", "try these values, in all combinations"))
    .option("--all", "every setting answers every question; nothing stops early")
    .option("--path <text>", "only ways through the workflow whose name has this text")
    .addOption(repeated("--executor <capability=id>", "fix the executor of a capability"))
    .option("--parallel <count>", "jobs at a time; above 1 latencies tell of the load (default: 1)")
    .action(async (name: string, flags) => {
      const { profile } = await import("./commands/profile.ts");
      done(await profile(context, name, flags));
    });
  const profiles = program
    .command("profiles")
    .description("what is known of executors and quality");
  common(
    profiles.command("show [name]").description("every figure, with unit and provenance"),
  ).action(async (name: string | undefined, flags) => {
    const { showProfiles } = await import("./commands/profiles.ts");
    done(await showProfiles(context, name, flags));
  });
  common(profiles.command("export").description("print it as YAML"))
    .option("--out <file>", "write it into a file")
    .action(async (flags) => {
      const { exportProfiles } = await import("./commands/profiles.ts");
      done(await exportProfiles(context, flags));
    });
  common(profiles.command("import <file>").description("take profiles from a YAML file")).action(
    async (file: string, flags) => {
      const { importProfiles } = await import("./commands/profiles.ts");
      done(await importProfiles(context, file, flags));
    },
  );
  common(
    profiles
      .command("diff <file> [other]")
      .description("what differs from another file, or from what the cluster knows"),
  ).action(async (before: string, after: string | undefined, flags) => {
    const { diffCommand } = await import("./commands/profiles.ts");
    const files = { before, ...(after === undefined ? {} : { after }) };
    done(await diffCommand(context, files, flags));
  });
  common(program.command("feedback <job>").description("tell how good a job's answer was"))
    .requiredOption("--score <number>", "0 (wrong) to 1 (right)")
    .option("--tenant <name>", "the job's")
    .option("--labelled", "the score is against a known answer, not an opinion")
    .action(async (jobId: string, flags) => {
      const { feedback } = await import("./commands/feedback.ts");
      done(await feedback(context, jobId, flags));
    });
}
