/** Where the numbers of a page come from, each origin told once. */
import { escapeHtml } from "./escape.ts";

export class Footnotes {
  readonly #texts: string[] = [];

  /** A small number that leads to the origin; equal origins share one. */
  mark(text: string): string {
    if (!this.#texts.includes(text)) this.#texts.push(text);
    const number = this.#texts.indexOf(text) + 1;
    return `<sup><a href="#origin-${number}">${number}</a></sup>`;
  }

  section(): string {
    if (this.#texts.length === 0) return "";
    const items = this.#texts.map(
      (text, index) => `<li id="origin-${index + 1}">${escapeHtml(text)}</li>`,
    );
    return `<h2>Where the numbers come from</h2>\n<ol class="notes">${items.join("")}</ol>`;
  }
}
