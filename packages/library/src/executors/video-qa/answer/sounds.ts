/**
 * How alike two words sound and look: what a recogniser hears for a word it does not know.
 */

/** How a word sounds, roughly: consonants by their kind, and whether it begins with a vowel. */
export function soundOf(word: string): string {
  const plain = word.toLowerCase().replace(/[^a-z]/g, "");
  const spelled = plain
    .replace(/^kn|^gn/, "n")
    .replace(/^wr/, "r")
    .replace(/ph/g, "f")
    .replace(/igh/g, "i")
    .replace(/ght/g, "t")
    .replace(/gh/g, "")
    .replace(/tch|ch|sh|ti(?=o)|ci(?=a)/g, "x")
    .replace(/th/g, "0")
    .replace(/ck|q|c(?![eiy])/g, "k")
    .replace(/c/g, "s")
    .replace(/dg|g(?=[ei])/g, "j")
    .replace(/x(?!$)/g, "x");
  const kinds: Readonly<Record<string, string>> = {
    z: "s",
    d: "t",
    b: "p",
    v: "f",
    g: "k",
    m: "n",
    j: "x",
  };
  const mapped = [...spelled].map((it) => kinds[it] ?? it).join("");
  const body = mapped.slice(1).replace(/[aeiouyhw]/g, "");
  const first = /^[aeiouy]/.test(mapped) ? "a" : mapped.slice(0, 1);
  return `${first}${body}`.replace(/(.)\1+/g, "$1");
}

/** How alike two words sound and look, in [0, 1]. */
export function similarity(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  if (left === right) return 1;
  const alike = 0.5 * ratioAlike(left, right) + 0.5 * ratioAlike(soundOf(left), soundOf(right));
  // As Winkler does: recognisers get the beginning right and the end wrong.
  return alike + PREFIX_BONUS * commonPrefix(left, right) * (1 - alike);
}

const PREFIX_BONUS = 0.05;
const PREFIX_LENGTH_MAX = 4;

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < PREFIX_LENGTH_MAX && length < a.length && a[length] === b[length]) length++;
  return length;
}

function ratioAlike(a: string, b: string): number {
  const longest = Math.max(a.length, b.length);
  return longest === 0 ? 1 : 1 - editDistance(a, b) / longest;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(swap, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
