/**
 * Different ways of asking the same, to one way.
 *
 * Why:  "Name the person who sings", "Tell me who sings" and "Which woman sings" all are "Who
 *       sings"; the kinds of question (see question.ts) are then told apart by few patterns.
 */
import { PEOPLE_NOUNS, ROLE_NOUNS } from "./lexicon.ts";
import { stemOf } from "./words.ts";

/** A longer text is no question any more; its first part still may be. */
const QUESTION_CHARS_MAX = 400;
const PERSON = "(?:person|man|woman|girl|boy|lady|guy|gentleman|child|kid|character|human|one)";
/** Things that bear numbers: "in which room" asks for a number, not for a place. */
const NUMBERED = "(?:platform|gate|pier|floor|line|room|stage|hall|track|bus|exit|lane|terminal)";

const REWRITES: readonly (readonly [RegExp, string])[] = [
  [/^(?:please|so|well|hey|okay|ok|and)\b,?\s+/i, ""],
  [/^(?:can|could|would|will) you (?:please )?(?:tell|say|show)(?: (?:me|us))?,? /i, ""],
  [/^(?:please )?(?:tell|show) (?:me|us),? /i, ""],
  [/^(?:do you know|i would like to know|i want to know|say),? /i, ""],
  [/\b(what|who|where|when|how)['’]s\b/gi, "$1 is"],
  [/^(?:name|identify|find) (?:the|a) /i, "what is the name of the "],
  [new RegExp(`^what is the name of the ${PERSON} (?:who|that) `, "i"), "Who "],
  [new RegExp(`^what is the name of the ${PERSON} (?=in |with |on |at )`, "i"), "Who is "],
  [new RegExp(`^what is the name of the ${PERSON} (?=\\w+ing )`, "i"), "Who is "],
  [new RegExp(`^what is the ${PERSON} (?:who|that) (.*) (?:called|named)\\b`, "i"), "Who $1"],
  [new RegExp(`^what is the ${PERSON} (.*) (?:called|named)\\b`, "i"), "Who is $1"],
  [new RegExp(`^(?:which|what) (?:of the )?${PERSON} (?=\\w)`, "i"), "Who "],
  [/^(?:for|to|with|in|after|of|at) how (?=many|much|old)/i, "How "],
  [/^(?:to|for|with|from|of|about) whom (?:do|does|did) /i, "Who does "],
  [/^(what|which) (?:object|thing|item|article) /i, "What "],
  [
    /^(?:what|which) (?:kind of |piece of |pieces of |item of |type of )?(?:clothes|clothing|garments?|outfit) (?=do|is|are)/i,
    "What ",
  ],
  [/^what is in ([\p{Lu}]\p{L}*)['’]s? (?:\w+ )?hands?\b/iu, "What does $1 carry"],
  [/\bhave in (?:his|her|their|the|its)(?: \w+)? hands?\b/i, "carry"],
  [/^what is the (?:total )?number of (?:the )?(?=\w+)/i, "How many "],
  [/^(how many \w+) (?:can|do|could) (?:you|we|one|i) (?:see|count|find|spot|notice)\b/i, "$1 are"],
  [/^(?:what is|what was) the height of /i, "How high is "],
  [/^(?:what is|what was) the length of /i, "How long is "],
  [/^(?:what is|what was) the age of /i, "How old is "],
  [/^(?:what is|what was) the (?:price|cost) of /i, "How much is "],
  [/^by whom (?:is|was|are|were)\b/i, "Who"],
  [new RegExp(`^(?:in|at|on|from) (which|what) (?=${NUMBERED}\\b)`, "i"), "$1 "],
];

/** "The driver's name", "the driver called", "the name of the driver": who the driver is. */
const ROLE_PATTERNS: readonly RegExp[] = [
  /^what is the name of (?:the|our|his|her|their) ((?:[\p{L}-]+ )?)([\p{L}]+)((?: (?:of|in|at|on|from) .*)?)\?*$/iu,
  /^what is (?:the|our) ((?:[\p{L}-]+ )?)([\p{L}]+)['’]s name((?: (?:of|in|at|on) .*)?)\?*$/iu,
  /^what is (?:the|our) ((?:[\p{L}-]+ )?)([\p{L}]+)((?: (?:of|in|at|on) .*)?) (?:called|named)\?*$/iu,
];

export function rephrase(question: string): string {
  const plain = question.slice(0, QUESTION_CHARS_MAX).replace(/\s+/g, " ").trim();
  const text = REWRITES.reduce((it, [pattern, by]) => it.replace(pattern, by), plain);
  for (const pattern of ROLE_PATTERNS) {
    const [, before = "", role = "", after = ""] = pattern.exec(text) ?? [];
    const stem = stemOf(role);
    if (ROLE_NOUNS.has(stem) && !PEOPLE_NOUNS.has(stem))
      return `Who is the ${before}${role}${after}?`;
  }
  return text;
}
