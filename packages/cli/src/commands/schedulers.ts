/** `murakkab schedulers`: who shares the jobs, who leads, how much each owns. */
import type { SchedulersView, SchedulerView } from "@murakkab/sdk";
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { renderTable } from "../render/table.ts";

/** Exit code 1 when nobody leads. */
export async function schedulers(context: Context, flags: CommonOptions): Promise<number> {
  const { stdout } = context;
  const view = await withClient(context, flags, (client) => client.schedulers());
  if (flags.json === true) printJson(stdout, view);
  else printLines(stdout, renderSchedulers(view, context));
  return view.leader === null ? EXIT.failed : EXIT.ok;
}

export function renderSchedulers(
  { schedulers: list, leader }: SchedulersView,
  { stdout, paint }: Pick<Context, "stdout" | "paint">,
): string[] {
  const columns = [
    { title: "scheduler", columnsMin: 12 },
    { title: "role" },
    { title: "partitions", align: "right" },
    { title: "generation", align: "right" },
    { title: "version" },
  ] as const;
  const options = { columns: columnsOf(stdout), paintTitle: paint.dim };
  const table = list.length === 0 ? [] : renderTable(columns, list.map(schedulerRow), options);
  return leader === null ? [...table, paint.red("nobody leads")] : table;
}

function schedulerRow(view: SchedulerView): string[] {
  const { scheduler, isLeader, isLeaving, ownedPartitionCount, generation, version } = view;
  const role = isLeaving ? "leaving" : isLeader ? "leader" : "member";
  return [scheduler, role, String(ownedPartitionCount), String(generation), version];
}
