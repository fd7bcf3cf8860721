/**
 * The requests about profiles, and feedback once the job's owner has it.
 *
 * Owns:      the subjects `profile.get` and `profile.put`; who may give feedback.
 * Does not:  find the job (job-router.ts does) or count scores (profile-store.ts does).
 */
import { type MessageSubscription, type Messaging, serve } from "@murakkab/bus";
import { type Clock, type Logger, TerminalError } from "@murakkab/kit";
import type { JobStatus, ProfileSet, WorkflowProfile } from "@murakkab/model";
import {
  type JobFeedback,
  type JobFeedbackReply,
  PROFILE_PAGE_BYTES,
  type ProfilePage,
  type ProfilePutReply,
  profileGetSchema,
  profilePutSchema,
  subjects,
} from "@murakkab/protocol";
import { DEFAULT_TENANT } from "../intake.ts";
import { feedbackTarget } from "./feedback-target.ts";
import type { ProfileStore } from "./profile-store.ts";

export interface ProfileServiceComponents {
  readonly messaging: Messaging;
  readonly store: ProfileStore;
  readonly clock: Clock;
  readonly log: Logger;
}

const QUEUE_GROUP = "scheduler";

export class ProfileService {
  private readonly parts: ProfileServiceComponents;
  private readonly subscriptions: MessageSubscription[] = [];

  constructor(components: ProfileServiceComponents) {
    this.parts = components;
  }

  start(): void {
    const { messaging, store, log } = this.parts;
    const onDefect = (error: unknown, subject: string): void => {
      log.error({ event: "request.defect", subject, err: error }, "a request failed");
    };
    const shared = { queueGroup: QUEUE_GROUP, onDefect };
    this.subscriptions.push(
      serve(
        messaging,
        {
          subject: subjects.profileGet,
          schema: profileGetSchema,
          what: "profile request",
          ...shared,
        },
        async (request) => {
          const after = request?.after ?? 0;
          // What was just scored or imported through another scheduler is to be seen.
          if (after === 0) await store.refresh();
          return pageOf(store.profiles(), after);
        },
      ),
      serve(
        messaging,
        {
          subject: subjects.profilePut,
          schema: profilePutSchema,
          what: "profile import",
          ...shared,
        },
        async ({ profiles }): Promise<ProfilePutReply> => {
          await store.import(profiles);
          const configurations = profiles.workflows.flatMap((it) => it.configurations);
          return {
            executorCount: profiles.executors.length,
            configurationCount: configurations.length,
          };
        },
      ),
    );
  }

  stop(): void {
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /**
   * Counts a score for a job whose status is at hand; repeated, it replaces the earlier one.
   *
   * Errors: `FORBIDDEN` for another tenant's job (anyone may ask for any job's state, so that it
   * exists is no secret); `JOB_NOT_FINISHED`, `JOB_HAS_NO_ANSWER`; `UNAVAILABLE` without the store.
   */
  async feedback(status: JobStatus, feedback: JobFeedback): Promise<JobFeedbackReply> {
    const { jobId, score, tenant = DEFAULT_TENANT, labelled = false } = feedback;
    if (status.tenant !== tenant) {
      throw new TerminalError(
        "FORBIDDEN",
        `job ${jobId} belongs to another tenant than "${tenant}": feedback is taken from its own`,
        { field: "tenant", context: { jobId } },
      );
    }
    const target = feedbackTarget(status);
    const { workflow, configuration, questionClass } = target;
    const { isReplaced } = await this.parts.store.storeScore(workflow, {
      ...{ jobId, configuration, questionClass, score },
      kind: labelled ? "label" : "feedback",
      atMs: this.parts.clock.wallMs(),
    });
    return { jobId, score, ...target, isReplaced };
  }
}

/** As many entries from `after` on as fit; an entry is an executor profile or a configuration. */
export function pageOf(profiles: ProfileSet, after: number): ProfilePage {
  const entries = [
    ...profiles.executors.map((executor) => ({ kind: "executor", executor }) as const),
    ...profiles.workflows.flatMap(({ workflow, configurations }) =>
      configurations.map((quality) => ({ kind: "workflow", workflow, quality }) as const),
    ),
  ];
  const executors: ProfileSet["executors"][number][] = [];
  const workflows = new Map<string, WorkflowProfile["configurations"][number][]>();
  let bytes = 0;
  let next = after;
  for (const entry of entries.slice(after)) {
    bytes += JSON.stringify(entry).length;
    if (bytes > PROFILE_PAGE_BYTES && next > after) break;
    next += 1;
    if (entry.kind === "executor") executors.push(entry.executor);
    else {
      const group = workflows.get(entry.workflow) ?? [];
      workflows.set(entry.workflow, [...group, entry.quality]);
    }
  }
  const page = {
    executors,
    workflows: [...workflows].map(([workflow, configurations]) => ({ workflow, configurations })),
  };
  return { profiles: page, next: next < entries.length ? next : null };
}
