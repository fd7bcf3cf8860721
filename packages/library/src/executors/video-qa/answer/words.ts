/**
 * Words in a form that can be compared: lower case, one spelling, one form for all inflections.
 */

/** A word of a text, as written and as compared. */
export interface Token {
  readonly text: string;
  /** Stem in American spelling; numbers as digits. */
  readonly stem: string;
  /** Seconds, when the word was spoken. */
  readonly atSec?: number;
  /** In (0, 1], below 1 for a word that was misheard and put right. */
  readonly certainty?: number;
}

const SPELLINGS: Readonly<Record<string, string>> = {
  colour: "color",
  grey: "gray",
  harbour: "harbor",
  centre: "center",
  theatre: "theater",
  jewellery: "jewelry",
  favourite: "favorite",
  neighbour: "neighbor",
  pyjamas: "pajamas",
  moustache: "mustache",
  aeroplane: "airplane",
  tyre: "tire",
  metre: "meter",
  kilometre: "kilometer",
  bike: "bicycle",
  photo: "picture",
  photograph: "picture",
  tv: "television",
  ok: "okay",
};

const IRREGULAR: Readonly<Record<string, string>> = {
  took: "take",
  taken: "take",
  gave: "give",
  given: "give",
  wore: "wear",
  worn: "wear",
  held: "hold",
  went: "go",
  gone: "go",
  goes: "go",
  ate: "eat",
  eaten: "eat",
  sold: "sell",
  bought: "buy",
  met: "meet",
  said: "say",
  told: "tell",
  sang: "sing",
  sung: "sing",
  ran: "run",
  swam: "swim",
  drove: "drive",
  driven: "drive",
  rode: "ride",
  ridden: "ride",
  wrote: "write",
  written: "write",
  spoke: "speak",
  spoken: "speak",
  brought: "bring",
  caught: "catch",
  taught: "teach",
  made: "make",
  had: "have",
  has: "have",
  did: "do",
  does: "do",
  done: "do",
  saw: "see",
  seen: "see",
  stood: "stand",
  sat: "sit",
  slept: "sleep",
  left: "leave",
  found: "find",
  built: "build",
  began: "begin",
  begun: "begin",
  won: "win",
  lost: "lose",
  cost: "cost",
  kept: "keep",
  drew: "draw",
  drawn: "draw",
  drank: "drink",
  flew: "fly",
  sent: "send",
  shown: "show",
  threw: "throw",
  grew: "grow",
  paid: "pay",
  was: "be",
  were: "be",
  is: "be",
  are: "be",
  am: "be",
  been: "be",
  being: "be",
  men: "man",
  women: "woman",
  children: "child",
  people: "person",
  feet: "foot",
  wives: "wife",
  knives: "knife",
  geese: "goose",
  mice: "mouse",
  dress: "dress",
  bus: "bus",
  gas: "gas",
  glasses: "glasses",
  trousers: "trousers",
  shorts: "shorts",
  always: "always",
  news: "news",
  this: "this",
  his: "his",
  hers: "hers",
  its: "its",
  us: "us",
  morning: "morning",
  evening: "evening",
  during: "during",
  nothing: "nothing",
  everything: "everything",
  something: "something",
  wedding: "wedding",
  building: "building",
  ring: "ring",
  king: "king",
  red: "red",
  bed: "bed",
  need: "need",
  speed: "speed",
  feed: "feed",
  seed: "seed",
};

const UNITS = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
];
const TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const NUMBERS: ReadonlyMap<string, string> = new Map([
  ...UNITS.map((it, value): [string, string] => [it, `${value}`]),
  ...TENS.map((it, index): [string, string] => [it, `${(index + 2) * 10}`]),
]);

export function isNumber(token: Token): boolean {
  return (
    /^\d/.test(token.stem) || /^(?:hundreds?|thousands?|millions?|half|dozens?)$/i.test(token.text)
  );
}

export function stemOf(word: string): string {
  const lower = word
    .toLowerCase()
    .replace(/['’]s$|['’]$/u, "")
    .replace(/[^\p{L}\p{N}]/gu, "");
  const number = NUMBERS.get(lower);
  if (number !== undefined) return number;
  const spelled = SPELLINGS[lower] ?? SPELLINGS[lower.replace(/s$/, "")] ?? lower;
  const irregular = Object.hasOwn(IRREGULAR, spelled) ? IRREGULAR[spelled] : undefined;
  return dropFinalE(irregular ?? dropSuffix(spelled));
}

/** "have" and "having" must meet: neither keeps the e. */
function dropFinalE(stem: string): string {
  return stem.length > 3 && stem.endsWith("e") ? stem.slice(0, -1) : stem;
}

function dropSuffix(word: string): string {
  if (word.length <= 3) return word;
  if (word.endsWith("ies") && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|us|is)$/.test(word)) return word;
  let stem = word;
  if (/(?:sh|ch|x|ss|z)es$/.test(stem)) stem = stem.slice(0, -2);
  else if (stem.endsWith("s")) stem = stem.slice(0, -1);
  const verb = /^(.*[aeiouy].*?)(?:ing|ed)$/.exec(stem)?.[1];
  if (verb !== undefined && verb.length >= 3) {
    stem = /([bdgklmnprt])\1$/.test(verb) && !verb.endsWith("ll") ? verb.slice(0, -1) : verb;
  }
  return stem;
}

export function tokenize(text: string): Token[] {
  const words = text.match(/[\p{L}\p{N}]+(?:['’.:][\p{L}\p{N}]+)*/gu) ?? [];
  return words.map((it) => ({ text: it, stem: stemOf(it) }));
}
