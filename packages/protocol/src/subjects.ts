/**
 * Every subject of the runtime, built and parsed here only.
 *
 * Form: `mk.v1.<domain>.<verb-or-event>.<ids…>`. Commands are imperatives, events past tense.
 * Wildcards work because the general tokens come first.
 */
import { InvalidArgumentError } from "@murakkab/kit";

const ROOT = "mk.v1";
const TOKEN_PATTERN = /^[A-Za-z0-9_-]{1,128}$/;

/** An id (or the wildcard `*`) as a subject token. Errors: `INVALID_ARGUMENT` when it has other characters. */
export function subjectToken(id: string, field = "id"): string {
  if (id !== "*" && !TOKEN_PATTERN.test(id)) {
    throw new InvalidArgumentError(
      `${field} "${id.slice(0, 140)}" is not valid, expected 1 to 128 letters, digits, "-" or "_"`,
      { field },
    );
  }
  return id;
}

export function isSubjectToken(id: string): boolean {
  return TOKEN_PATTERN.test(id);
}

export const subjects = {
  // Public: any NATS client may use these with plain JSON.
  jobSubmit: `${ROOT}.job.submit`,
  /** Same body as submit; answers with the plan and runs nothing. */
  jobPlan: `${ROOT}.job.plan`,
  jobList: `${ROOT}.job.list`,
  jobGet: (jobId: string) => `${ROOT}.job.get.${subjectToken(jobId, "jobId")}`,
  jobExplain: (jobId: string) => `${ROOT}.job.explain.${subjectToken(jobId, "jobId")}`,
  jobWait: (jobId: string) => `${ROOT}.job.wait.${subjectToken(jobId, "jobId")}`,
  jobEvents: (jobId: string) => `${ROOT}.job.events.${subjectToken(jobId, "jobId")}`,
  jobCancel: (jobId: string) => `${ROOT}.job.cancel.${subjectToken(jobId, "jobId")}`,
  /** A score for a finished job's answer; moves the beliefs that later plans use. */
  jobFeedback: `${ROOT}.job.feedback`,
  /** What is known of executors and workflows, in pages. */
  profileGet: `${ROOT}.profile.get`,
  /** Import: taken whole or refused whole. */
  profilePut: `${ROOT}.profile.put`,
  jobEvent: (event: string, jobId: string) =>
    `${ROOT}.job-event.${event}.${subjectToken(jobId, "jobId")}`,
  jobEventsOf: (jobId: string) => `${ROOT}.job-event.*.${subjectToken(jobId, "jobId")}`,
  allJobEvents: `${ROOT}.job-event.>`,
  nodeList: `${ROOT}.node.list`,
  instanceList: `${ROOT}.instance.list`,
  libraryList: `${ROOT}.library.list`,
  /** Where and with which ticket a client uploads a file. */
  artifactUpload: `${ROOT}.artifact.upload`,
  /** Where and with which ticket a client fetches an artifact. */
  artifactDownload: `${ROOT}.artifact.download`,
  /** Ops stream: JSON copies of samples and events. */
  ops: `${ROOT}.ops.>`,
  opsOf: (subject: string) => `${ROOT}.ops.${subject.slice(ROOT.length + 1)}`,

  // Between our own processes.
  /** Answered by any running scheduler. */
  schedulerPing: `${ROOT}.scheduler.ping`,
  /** Every scheduler tells a few times per second that it is there, and what it owns. */
  schedulerBeat: `${ROOT}.scheduler.beat`,
  /** One scheduler's private subject: nobody there means that its process is gone. */
  schedulerProbe: (scheduler: string) =>
    `${ROOT}.scheduler.probe.${subjectToken(scheduler, "scheduler")}`,
  /** Give me this partition: answered once its journal is complete. */
  schedulerHandOver: (scheduler: string) =>
    `${ROOT}.scheduler.hand-over.${subjectToken(scheduler, "scheduler")}`,
  /** A scheduler's own part of a question about all jobs. */
  schedulerJobs: (scheduler: string) =>
    `${ROOT}.scheduler.jobs.${subjectToken(scheduler, "scheduler")}`,
  /** Requests about a job, from whichever scheduler got them to the one that owns it. */
  partitionRequest: (partition: number) => `${ROOT}.partition.request.${partition}`,
  /** The journal of one partition of jobs; every write carries the expected last sequence. */
  journal: (partition: number) => `${ROOT}.journal.${partition}`,
  allJournals: `${ROOT}.journal.*`,
  /** Served by the leader only. */
  nodeRegister: `${ROOT}.node.register`,
  /** From the leader, with the registration that it took: the other schedulers' view. */
  nodeRegistered: (node: string) => `${ROOT}.node.registered.${subjectToken(node, "node")}`,
  allNodesRegistered: `${ROOT}.node.registered.*`,
  /** One agent process: nobody there means that it is gone, whatever its name was. */
  nodeProbe: (node: string, incarnation: string) =>
    `${ROOT}.node.probe.${subjectToken(node, "node")}.${subjectToken(incarnation, "incarnation")}`,
  /** From a new leader: every agent registers again and so tells what runs. */
  fleetReport: `${ROOT}.fleet.report`,
  /** To the leader: the registrations and instances that it knows. */
  fleetView: `${ROOT}.fleet.view`,
  /** To the leader: attempts of these executors wait for instances. */
  instanceWant: `${ROOT}.instance.want`,
  /** From a scheduler that does not know the sender of a heartbeat. */
  nodeReregister: (node: string) => `${ROOT}.node.reregister.${subjectToken(node, "node")}`,
  nodeHeartbeat: (node: string) => `${ROOT}.node.heartbeat.${subjectToken(node, "node")}`,
  allNodeHeartbeats: `${ROOT}.node.heartbeat.*`,
  nodeSampled: (node: string) => `${ROOT}.node.sampled.${subjectToken(node, "node")}`,
  allNodesSampled: `${ROOT}.node.sampled.*`,
  /** Leaving on purpose: `{ node, incarnation }`. */
  nodeLeft: (node: string) => `${ROOT}.node.left.${subjectToken(node, "node")}`,
  allNodesLeft: `${ROOT}.node.left.*`,
  instanceStart: (node: string) => `${ROOT}.instance.start.${subjectToken(node, "node")}`,
  instanceStop: (node: string) => `${ROOT}.instance.stop.${subjectToken(node, "node")}`,
  /** Events of an instance's life: ready, exited. */
  instanceReady: (node: string) => `${ROOT}.instance.ready.${subjectToken(node, "node")}`,
  allInstancesReady: `${ROOT}.instance.ready.*`,
  instanceExited: (node: string) => `${ROOT}.instance.exited.${subjectToken(node, "node")}`,
  allInstancesExited: `${ROOT}.instance.exited.*`,
  /** Cores of a node, acquired by a worker for the time of one attempt. */
  coresAcquire: (node: string) => `${ROOT}.cores.acquire.${subjectToken(node, "node")}`,
  coresRelease: (node: string) => `${ROOT}.cores.release.${subjectToken(node, "node")}`,
  artifactImport: (node: string) => `${ROOT}.artifact.import.${subjectToken(node, "node")}`,
  artifactStat: (node: string) => `${ROOT}.artifact.stat.${subjectToken(node, "node")}`,
  /** Fetch an artifact from its holder and keep it for a job: the second copy of an input. */
  artifactCopy: (node: string) => `${ROOT}.artifact.copy.${subjectToken(node, "node")}`,
  artifactPin: (node: string) => `${ROOT}.artifact.pin.${subjectToken(node, "node")}`,
  artifactRelease: (node: string) => `${ROOT}.artifact.release.${subjectToken(node, "node")}`,
  /** From a worker to the agent of its own host: make a local path, take a file in. */
  artifactOpen: (node: string) => `${ROOT}.artifact.open.${subjectToken(node, "node")}`,
  artifactIngest: (node: string) => `${ROOT}.artifact.ingest.${subjectToken(node, "node")}`,
  /** From a worker that lost its agent's channel: what it holds and does, until it is answered. */
  instanceHello: (node: string) => `${ROOT}.instance.hello.${subjectToken(node, "node")}`,
  /** From an agent that has started anew, to the workers that it found: say hello. */
  instanceMuster: (node: string) => `${ROOT}.instance.muster.${subjectToken(node, "node")}`,
  /** A result that could not be delivered when it came about: from an agent's spool to the job. */
  attemptResult: `${ROOT}.attempt.result`,
  /** Give the actor a live activation: served by the directory. */
  actorActivate: `${ROOT}.actor-directory.activate`,
  /** Processes that host actors tell the directory which types they take. */
  actorHostBeat: `${ROOT}.actor-directory.beat`,
  /** One hosting process's private subject: commands from the directory. */
  actorHost: (host: string) => `${ROOT}.actor-host.${subjectToken(host, "host")}`,
  /** Mailbox of an actor. Its subject does not change when it moves. */
  actor: (type: string, key: string) =>
    `${ROOT}.actor.${subjectToken(type, "actor type")}.${subjectToken(key, "actor key")}`,
} as const;

/** The last token: the id that the subject ends in. */
export function lastToken(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}
