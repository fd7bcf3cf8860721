/** Widths as a terminal shows them: colour codes take no column, wide characters take two. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character starts a colour.
const COLOUR_PATTERN = /\u001b\[[0-9;]*m/g;
const WIDE_PATTERN =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const MARK_PATTERN = /[\p{Mn}\p{Me}\u200b-\u200d\ufe0e\ufe0f]/u;

export function textWidth(text: string): number {
  let columns = 0;
  for (const character of text.replace(COLOUR_PATTERN, "")) {
    if (MARK_PATTERN.test(character)) continue;
    columns += WIDE_PATTERN.test(character) ? 2 : 1;
  }
  return columns;
}

/** At most `columns` wide; what is cut off is shown by an ellipsis. Colours must be added after. */
export function truncate(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let kept = "";
  for (const character of text) {
    if (textWidth(kept + character) > columns - 1) break;
    kept += character;
  }
  return columns <= 0 ? "" : `${kept}…`;
}

export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - textWidth(text)));
}

export function padStart(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - textWidth(text))) + text;
}

/** Lines of at most `columns`, broken at spaces; a longer word keeps a line for itself. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/ +/)) {
      const longer = line === "" ? word : `${line} ${word}`;
      if (line !== "" && textWidth(longer) > columns) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    lines.push(line);
  }
  return lines;
}

/** Text from elsewhere, made harmless: no control characters that could drive the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
