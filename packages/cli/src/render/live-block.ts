/**
 * A block of lines at the bottom of a terminal that is drawn over itself.
 *
 * Owns:      cursor movement and the cursor's visibility.
 * Does not:  know what it shows.
 *
 * Invariants:
 *   L1. After `end` the cursor is visible and stands below the last line, however the view ended.
 *   L2. A block taller than the screen shows its last lines: drawing never scrolls.
 */
export interface TerminalStream {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

export class LiveBlock {
  readonly #terminal: TerminalStream;
  #drawnCount = 0;
  #isHidden = false;

  constructor(terminal: TerminalStream) {
    this.#terminal = terminal;
  }

  draw(lines: readonly string[]): void {
    const rows = this.#terminal.rows ?? 24;
    const shown = lines.slice(-Math.max(1, rows - 1)); // L2
    const up = this.#drawnCount === 0 ? "" : `\u001b[${this.#drawnCount}A\r`;
    const hide = this.#isHidden ? "" : HIDE_CURSOR;
    this.#isHidden = true;
    const text = shown.map((line) => `${line}${CLEAR_LINE_END}\n`).join("");
    this.#terminal.write(`${hide}${up}${text}${CLEAR_BELOW}`);
    this.#drawnCount = shown.length;
  }

  /** L1. Leaves what was drawn last. */
  end(): void {
    if (this.#isHidden) this.#terminal.write(SHOW_CURSOR);
    this.#isHidden = false;
    this.#drawnCount = 0;
  }
}
