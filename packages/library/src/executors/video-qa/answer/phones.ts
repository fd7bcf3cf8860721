/**
 * How words sound, as a string of phones, and how alike two such strings are.
 *
 * Why:       a recogniser that does not know a word writes down others that sound like it, and
 *            often several: "raincoat" comes back as "ring code". Letters compare badly then.
 * Source:    the usual English letter-to-sound rules; exceptions are left out, because near
 *            phones cost little anyway.
 *
 * Invariants:
 *   P1. `alikeness` is symmetric and lies in [0, 1]; equal sounds have 1.
 */

/** One capital letter for a phone of two letters: C ch, S sh, T th, N ng, J j, I as in "ice". */
const RULES: readonly (readonly [RegExp, string])[] = [
  [/(?:ti|si|ci)on/g, "Sun"],
  [/tch|ch/g, "C"],
  [/sh/g, "S"],
  [/th/g, "T"],
  [/ph/g, "f"],
  [/igh|eigh/g, "I"],
  [/ough|augh/g, "o"],
  [/gh/g, "g"],
  [/dge?(?=[eiy])/g, "J"],
  [/^kn|^gn/g, "n"],
  [/^wr/g, "r"],
  [/wh/g, "w"],
  [/mb$/g, "m"],
  [/ng/g, "N"],
  [/qu/g, "kw"],
  [/q|ck/g, "k"],
  [/c(?=[eiy])/g, "s"],
  [/c/g, "k"],
  [/j|g(?=[ei])/g, "J"],
  [/x/g, "ks"],
  [/i([^aeiou])e$/g, "I$1"],
  [/y([^aeiou])e$/g, "I$1"],
  [/a([^aeiou])e$/g, "e$1"],
  [/o([^aeiou])e$/g, "o$1"],
  [/([^aeiou])e(s|d)?$/g, "$1$2"],
  [/ee|ea|ie/g, "i"],
  [/oo|ue|ew|ui/g, "u"],
  [/ai|ay|ei|ey/g, "e"],
  [/oa|ow|ou|au|aw/g, "o"],
  [/(?<=.)y/g, "i"],
  [/([aeiou])h/g, "$1"],
  [/(.)\1+/g, "$1"],
];

export function phonesOf(word: string): string {
  const plain = word
    .toLowerCase()
    .normalize("NFD")
    .replace(/['’]s$/, "s")
    .replace(/[^a-z]/g, "");
  // A word of two letters is short enough to be as it is.
  if (plain.length <= 2) return plain;
  return RULES.reduce((text, [pattern, phone]) => text.replace(pattern, phone), plain);
}

const VOWELS = "aeiouIy";
/** What it costs to leave a phone out; consonants that are swallowed easily cost less. */
function weightOf(phone: string): number {
  if (VOWELS.includes(phone)) return 0.5;
  return "hwr".includes(phone) ? 0.6 : 1;
}

/** Phones of a group are mistaken for one another; the number is what that costs. */
const GROUPS: readonly (readonly [string, number])[] = [
  ["aeiouIy", 0.3],
  ["pb", 0.3],
  ["td", 0.3],
  ["kg", 0.3],
  ["fv", 0.3],
  ["sz", 0.2],
  ["SCJ", 0.3],
  ["mnN", 0.4],
  ["lr", 0.5],
  ["rw", 0.5],
  ["sS", 0.5],
  ["tC", 0.5],
  ["dJ", 0.5],
  ["Tsftdv", 0.5],
  ["pbtdkg", 0.7],
];

function costOf(a: string, b: string): number {
  if (a === b) return 0;
  const group = GROUPS.find(([phones]) => phones.includes(a) && phones.includes(b));
  return group?.[1] ?? Math.max(weightOf(a), weightOf(b));
}

/** How alike two strings of phones are, in [0, 1]. Cost: O(length of a × length of b). */
export function alikeness(a: string, b: string): number {
  const longest = Math.max(totalOf(a), totalOf(b));
  if (longest === 0) return 1;
  let previous = [0];
  for (const phone of b) previous.push((previous.at(-1) ?? 0) + weightOf(phone));
  for (const left of a) {
    const row = [(previous[0] ?? 0) + weightOf(left)];
    for (const [index, right] of [...b].entries()) {
      row.push(
        Math.min(
          (previous[index] ?? 0) + costOf(left, right),
          (previous[index + 1] ?? 0) + weightOf(left),
          (row[index] ?? 0) + weightOf(right),
        ),
      );
    }
    previous = row;
  }
  return Math.max(0, 1 - (previous.at(-1) ?? 0) / longest);
}

function totalOf(phones: string): number {
  return [...phones].reduce((sum, it) => sum + weightOf(it), 0);
}
