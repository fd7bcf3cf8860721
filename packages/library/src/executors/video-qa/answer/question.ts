/**
 * What a question asks for.
 *
 * Owns:      the kind of the question, the kind of its answer, and the terms that it is about.
 */
import { GIVEN_NAMES } from "./given-names.ts";
import {
  COLORS,
  FRAME_WORDS,
  HAVE_VERBS,
  isClothes,
  PEOPLE_NOUNS,
  STOP_WORDS,
  WEAR_VERBS,
} from "./lexicon.ts";
import { rephrase } from "./rephrase.ts";
import { stemOf, type Token, tokenize } from "./words.ts";

export type QuestionKind =
  | "who"
  | "wears-what"
  | "color"
  | "what"
  | "where"
  | "count-people"
  | "quantity"
  | "sign"
  | "name-of"
  | "day"
  | "when";

export interface Question {
  readonly kind: QuestionKind;
  readonly tokens: readonly Token[];
  /** Words that the evidence must hold. */
  readonly terms: readonly Token[];
  /** Names of persons or places: capital letters within the question. */
  readonly names: readonly Token[];
  /** Persons of `names`. */
  readonly person?: string;
  readonly item?: string;
  readonly colors: readonly string[];
  /** Asks about clothes. */
  readonly isAboutWear: boolean;
  /** Asks about a moment of the video, not of the story. */
  readonly isAboutVideo: boolean;
  /** "How many X", "which X", "what X": the X. */
  readonly head?: Token;
  /** "For whom …", "near which …": the answer follows this word. */
  readonly preposition?: string;
}

const SPEECH_WORDS = new Set(
  "mention say narrate narrator hear talk speak tell".split(" ").map(stemOf),
);

/** Asks what is said or when, not what is written: only speech can tell. */
export function isAboutSpeech({ tokens, kind }: Question): boolean {
  return kind !== "sign" && tokens.some((it) => SPEECH_WORDS.has(it.stem));
}

const PREPOSITION_ASKED = /^(for|to|with|from|by|near) (?:whom|who|what|which)\b/i;
/** "What does Ann have on?", "Who has on a coat?" */
const HAS_ON = /\b(?:have|has|had|got|having)\b(?: .*)? on(?: (?:an?|the|her|his)\b.*)?\s*\?*$/i;
const TITLES = new Set(["mr", "mrs", "ms", "miss", "dr"]);
/** What people do in every picture. */
const POSES = new Set(
  "stand sit present altogether total individual character figure there".split(" ").map(stemOf),
);
const KIND_WORDS = new Set(["name", "color", "number", "call", "word"].map(stemOf));

export function analyzeQuestion(asked: string): Question {
  const text = rephrase(asked);
  const preposition = PREPOSITION_ASKED.exec(asked.trim())?.[1]?.toLowerCase();
  const tokens = tokenize(text);
  const stems = tokens.map((it) => it.stem);
  const names = tokens.filter((it, index) => isProper(tokens, it, index));
  const personAt = tokens.findIndex(
    (it) => names.includes(it) && GIVEN_NAMES.has(it.text.toLowerCase().replace(/['’]s$/, "")),
  );
  const person = personAt < 0 ? owner(tokens, names) : tokens[personAt]?.text;
  const head = headOf(tokens);
  const item = tokens.find(isClothes)?.stem;
  const colors = stems.filter((it) => COLORS.has(it));
  const isAboutWear =
    stems.some((it) => WEAR_VERBS.has(it)) ||
    HAS_ON.test(text) ||
    (item !== undefined && !stems.includes("call"));
  const isAboutVideo =
    /\b(?:video|film|clip|narrat\w+|mention\w*|first|appear\w*|shown?|seen?|said|hear[d]?|visible|on screen)\b/i.test(
      text,
    );
  const kind = kindOf(text, { stems, isAboutWear, head });
  const deed = deedOf(tokens, names);
  const terms = tokens.filter((it) => it === deed || isTerm(it, kind, head));
  const plainPerson = person?.replace(/['’]s$/, "");
  return {
    kind,
    tokens,
    terms,
    names,
    colors,
    isAboutWear,
    isAboutVideo,
    ...(plainPerson === undefined ? {} : { person: plainPerson }),
    ...(item === undefined ? {} : { item }),
    ...(head === undefined ? {} : { head }),
    ...(preposition === undefined ? {} : { preposition }),
  };
}

/** Capital letters within a sentence, but not the first word, weekdays' kin or "I". */
function isProper(tokens: readonly Token[], token: Token, index: number): boolean {
  if (index === 0 || !/^\p{Lu}/u.test(token.text) || token.text === "I") return false;
  return !STOP_WORDS.has(token.stem) || tokens.length < 3;
}

/** The name that stands as somebody: "does Xelia carry", "Xelia's coat", "is Xelia wearing". */
function owner(tokens: readonly Token[], names: readonly Token[]): string | undefined {
  const at = tokens.findIndex((it, index) => {
    if (!names.includes(it)) return false;
    const previous = tokens[index - 1]?.stem ?? "";
    const before = TITLES.has(previous) ? (tokens[index - 2]?.stem ?? "") : previous;
    if (TITLES.has(it.stem)) return false;
    return /['’]s$/.test(it.text) || before === "do" || (before === "be" && index <= 2);
  });
  return at < 0 ? undefined : tokens[at]?.text;
}

/** "What does Ann show them", "who tells a joke": a deed in the story, not of the video. */
function deedOf(tokens: readonly Token[], names: readonly Token[]): Token | undefined {
  const before = tokens.findIndex(
    (it, at) => names.includes(it) && tokens[at - 1]?.stem === "do" && at <= 3,
  );
  const at = before >= 0 ? before + 1 : tokens[0]?.stem === "who" ? 1 : -1;
  const deed = tokens[at];
  return deed !== undefined && TELLING_VERBS.has(deed.stem) ? deed : undefined;
}

const TELLING_VERBS = new Set("show tell talk watch look find hear say".split(" ").map(stemOf));

function headOf(tokens: readonly Token[]): Token | undefined {
  const at = tokens.findIndex((it) => ["which", "what", "many", "much"].includes(it.stem));
  const next = tokens[at + 1];
  if (at < 0 || next === undefined) return undefined;
  const kindOf = /^(?:kind|type|sort)$/.test(next.stem) ? tokens[at + 3] : next;
  return kindOf === undefined || STOP_WORDS.has(kindOf.stem) ? undefined : kindOf;
}

function kindOf(
  text: string,
  parts: {
    readonly stems: readonly string[];
    readonly isAboutWear: boolean;
    readonly head: Token | undefined;
  },
): QuestionKind {
  const { stems, isAboutWear, head } = parts;
  const lower = text.toLowerCase();
  if (/\b(?:what|which)(?:'s)?(?: is| was)? (?:the )?colou?r|in (?:what|which) colou?r/.test(lower))
    return "color";
  if (
    /^(?:when|(?:at|around|until|till|by|from)? ?(?:what|which) (?:time|moment|point|second|minute))\b/.test(
      lower,
    )
  )
    return "when";
  if (/^(?:in|from|to|at)? ?(?:what|which) (?:city|country|town|village|place)\b/.test(lower))
    return "where";
  if (/^(?:on )?(?:what|which) (?:week)?day\b/.test(lower)) return "day";
  if (
    /^how many (?:people|persons?|men|women|characters|figures|individuals|friends|guests|visitors|adults|kids|children|boys|girls|tourists|passengers)\b/.test(
      lower,
    ) &&
    !/\bhave\b/.test(lower)
  )
    return "count-people";
  if (
    /^how (?:many|much|old|long|high|tall|far|late|deep|fast|big|often|large|wide|heavy)\b/.test(
      lower,
    )
  )
    return "quantity";
  if (
    /^(?:where|(?:in|at|on|to|from|near) (?:what|which) (?!platform|gate|floor|number|room|line|page|day))/.test(
      lower,
    )
  )
    return "where";
  if (
    /\b(?:sign|board|banner|caption|poster|label|notice)\b.*\b(?:say|read|show|tell|written)|\b(?:written|says?)\b.*\b(?:sign|board|banner|caption|poster)\b|\b(?:written|read|text|words?)\b.*\b(?:sign|board|banner|caption|poster|notice)\b|what is written/.test(
      lower,
    )
  )
    return "sign";
  if (/\bname of the (?:man|woman|person|boy|girl|lady|guy|gentleman)\b/.test(lower)) return "who";
  if (
    /\b(?:name of|called|named)\b|what(?:'s| is) .*\bname\b/.test(lower) &&
    !lower.startsWith("who")
  )
    return "name-of";
  if (/^(?:who|whom|whose)\b|^which (?:man|woman|person|boy|girl)\b/.test(lower)) return "who";
  if (
    isAboutWear &&
    (/\bwear|\bdress(?:ed)?\b|\bclothes\b/.test(lower) || HAS_ON.test(text)) &&
    lower.startsWith("what")
  )
    return "wears-what";
  if (/\b(?:number|limit|price)\b/.test(lower)) return "quantity";
  if (
    head !== undefined &&
    /^(?:which|on which|at which|from which|what) /.test(lower) &&
    /^(?:platform|gate|pier|floor|line|room|stage|hall|track|bus|exit|lane|terminal|level|number)$/.test(
      head.text.toLowerCase(),
    )
  )
    return "quantity";
  if (stems.includes("cost")) return "quantity";
  return "what";
}

function isTerm(token: Token, kind: QuestionKind, head: Token | undefined): boolean {
  if (STOP_WORDS.has(token.stem) || FRAME_WORDS.has(token.stem) || token.stem === "many")
    return false;
  if (KIND_WORDS.has(token.stem)) return false;
  // "a dress" is a thing, "dressed" is not.
  if (/^dress(?:es)?$/i.test(token.text)) return true;
  if (HAVE_VERBS.has(token.stem) || WEAR_VERBS.has(token.stem))
    return token.stem === "hold" && kind === "who";
  if (kind === "count-people" && (PEOPLE_NOUNS.has(token.stem) || POSES.has(token.stem)))
    return false;
  if (kind === "who" && PEOPLE_NOUNS.has(token.stem)) return false;
  if (kind === "day" && token.stem === "day") return false;
  if (kind === "where" && token === head) return true;
  if (
    kind === "sign" &&
    /^(?:writ|read|text|word|stand|sign|board|banner|caption|poster|label|notice)$/.test(token.stem)
  )
    return false;
  if (
    kind === "quantity" &&
    /^(?:much|many|old|long|high|tall|far|lat|late|cost|pric|price|deep|fast|big|often|limit)$/.test(
      token.stem,
    )
  ) {
    return token.stem === "old" || token.stem === "limit";
  }
  return true;
}
