/** Plain aligned columns. The widest shrinkable columns give way when the terminal is narrow. */
import { padEnd, padStart, textWidth, truncate } from "./text-width.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut with an ellipsis, down to this many columns. Default: never cut. */
  readonly columnsMin?: number;
  /** Left out when the table is too wide even after cutting, the highest first. Default: never. */
  readonly dropOrder?: number;
}

export interface TableOptions {
  readonly columns: number;
  /** Painted after cutting, so that colours never break the widths. */
  readonly paintTitle?: (text: string) => string;
  readonly paintCell?: (text: string, row: number, column: number) => string;
  readonly indent?: string;
}

const GAP = "  ";

export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: TableOptions,
): string[] {
  const indent = options.indent ?? "";
  const widths = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[index] ?? ""))),
  );
  shrink(widths, columns, options.columns - textWidth(indent));
  const line = (cells: readonly string[], paint: (text: string, index: number) => string) =>
    indent +
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        const cell = truncate(cells[index] ?? "", width);
        const isLast = index === columns.length - 1;
        const padded =
          column.align === "right" ? padStart(cell, width) : isLast ? cell : padEnd(cell, width);
        return paint(padded, index);
      })
      .join(GAP)
      .trimEnd();
  const titles = columns.map((column) => column.title);
  return [
    line(titles, (text) => options.paintTitle?.(text) ?? text),
    ...rows.map((row, rowIndex) =>
      line(row, (text, index) => options.paintCell?.(text, rowIndex, index) ?? text),
    ),
  ];
}

/** Without the columns that a narrow terminal has no room for. */
export function dropToFit<T extends Column>(
  columns: readonly T[],
  rows: readonly (readonly string[])[],
  available: number,
): { columns: T[]; rows: string[][] } {
  const kept = columns.map((column, index) => ({ column, index }));
  const width = (): number =>
    kept.reduce((sum, { column, index }) => {
      const full = Math.max(
        ...[column.title, ...rows.map((row) => row[index] ?? "")].map(textWidth),
      );
      return sum + Math.min(full, column.columnsMin ?? full) + GAP.length;
    }, -GAP.length);
  while (width() > available) {
    const orders = kept.map(({ column }) => column.dropOrder ?? -1);
    const next = Math.max(...orders);
    if (next < 0) break;
    kept.splice(orders.indexOf(next), 1);
  }
  return {
    columns: kept.map(({ column }) => column),
    rows: rows.map((row) => kept.map(({ index }) => row[index] ?? "")),
  };
}

/** Takes one column off the widest shrinkable one until all fit or none can give. */
function shrink(widths: number[], columns: readonly Column[], available: number): void {
  const total = (): number =>
    widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
  while (total() > available) {
    let widest = -1;
    for (const [index, column] of columns.entries()) {
      const width = widths[index] ?? 0;
      if (column.columnsMin === undefined || width <= column.columnsMin) continue;
      if (widest < 0 || width > (widths[widest] ?? 0)) widest = index;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}
