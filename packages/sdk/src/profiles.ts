/**
 * Profiles on their way: pages of an export joined, an import checked and taken apart.
 *
 * Does not: send anything (client.ts does).
 */
import { canonicalJson } from "@murakkab/kit";
import type {
  ConfigurationQuality,
  ExecutorProfile,
  ProfileSet,
  WorkflowProfile,
} from "@murakkab/model";
import {
  PROFILE_IMPORT_COUNT_MAX,
  PROFILE_PAGE_BYTES,
  profilePutSchema,
  validate,
} from "@murakkab/protocol";

export interface FeedbackOptions {
  /** The job's. Default `default`. */
  readonly tenant?: string;
  /** The score is against a known answer, not an opinion. Default false. */
  readonly labelled?: boolean;
}

type Item =
  | { readonly kind: "executor"; readonly executor: ExecutorProfile }
  | {
      readonly kind: "workflow";
      readonly workflow: string;
      readonly quality: ConfigurationQuality;
    };

/**
 * Pages may come from several schedulers that know of slightly different things: what two pages
 * have is taken once, from the later one.
 */
export function mergeProfiles(pages: readonly ProfileSet[]): ProfileSet {
  const items = new Map(pages.flatMap(itemsOf).map((item) => [identityOf(item), item]));
  return toSet([...items.values()]);
}

/** The first thing that a scheduler would refuse. Errors: `INVALID_ARGUMENT` with the field. */
export function checkProfiles(profiles: ProfileSet): void {
  for (const part of splitProfiles(profiles)) {
    validate(profilePutSchema, { profiles: part }, "profile import");
  }
}

/** Parts that fit into a message each. */
export function splitProfiles(profiles: ProfileSet): readonly ProfileSet[] {
  const parts: ProfileSet[] = [];
  let items: Item[] = [];
  let bytes = 0;
  for (const item of itemsOf(profiles)) {
    const size = JSON.stringify(item).length;
    const isFull = bytes + size > PROFILE_PAGE_BYTES || items.length >= PROFILE_IMPORT_COUNT_MAX;
    if (isFull && items.length > 0) {
      parts.push(toSet(items));
      items = [];
      bytes = 0;
    }
    items.push(item);
    bytes += size;
  }
  return items.length === 0 ? parts : [...parts, toSet(items)];
}

function itemsOf({ executors, workflows }: ProfileSet): readonly Item[] {
  return [
    ...executors.map((executor): Item => ({ kind: "executor", executor })),
    ...workflows.flatMap(({ workflow, configurations }) =>
      configurations.map((quality): Item => ({ kind: "workflow", workflow, quality })),
    ),
  ];
}

function identityOf(item: Item): string {
  if (item.kind === "workflow") return `${item.workflow}\n${item.quality.configuration}`;
  const { executor, version, knobs, nodeKind } = item.executor;
  return canonicalJson({ executor, version, knobs, nodeKind });
}

function toSet(items: readonly Item[]): ProfileSet {
  const executors: ExecutorProfile[] = [];
  const workflows = new Map<string, ConfigurationQuality[]>();
  for (const item of items) {
    if (item.kind === "executor") {
      executors.push(item.executor);
      continue;
    }
    const group = workflows.get(item.workflow);
    if (group === undefined) workflows.set(item.workflow, [item.quality]);
    else group.push(item.quality);
  }
  const grouped = [...workflows].map(
    ([workflow, configurations]): WorkflowProfile => ({ workflow, configurations }),
  );
  return { executors, workflows: grouped };
}
