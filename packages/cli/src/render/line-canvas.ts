/**
 * A canvas of characters on which lines join by themselves: each cell knows in which of the four
 * directions a line leaves it, and the box-drawing character follows from that.
 */
const NORTH = 1;
const EAST = 2;
const SOUTH = 4;
const WEST = 8;
/** Indexed by the sum of the directions. */
const LINE_CHARACTERS = " ╵╶└╷│┌├╴┘─┴┐┤┬┼";

interface Cell {
  directions: number;
  text: string | null;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export class LineCanvas {
  readonly #rows: Cell[][] = [];

  vertical(x: number, fromY: number, toY: number): void {
    for (let y = fromY; y <= toY; y += 1) {
      this.#join(x, y, (y > fromY ? NORTH : 0) | (y < toY ? SOUTH : 0));
    }
  }

  horizontal(y: number, fromX: number, toX: number): void {
    const left = Math.min(fromX, toX);
    const right = Math.max(fromX, toX);
    for (let x = left; x <= right; x += 1) {
      this.#join(x, y, (x > left ? WEST : 0) | (x < right ? EAST : 0));
    }
  }

  box({ left, top, width, height }: Box): void {
    const right = left + width - 1;
    const bottom = top + height - 1;
    this.horizontal(top, left, right);
    this.horizontal(bottom, left, right);
    this.vertical(left, top, bottom);
    this.vertical(right, top, bottom);
  }

  text(x: number, y: number, text: string): void {
    for (const [index, character] of [...text].entries()) {
      this.#cell(x + index, y).text = character;
    }
  }

  lines(): string[] {
    return this.#rows.map((row) =>
      row
        .map((cell) => cell.text ?? LINE_CHARACTERS[cell.directions] ?? " ")
        .join("")
        .trimEnd(),
    );
  }

  #join(x: number, y: number, directions: number): void {
    this.#cell(x, y).directions |= directions;
  }

  #cell(x: number, y: number): Cell {
    while (this.#rows.length <= y) this.#rows.push([]);
    const row = this.#rows[y] as Cell[];
    while (row.length <= x) row.push({ directions: 0, text: null });
    return row[x] as Cell;
  }
}
