/**
 * What words mean to the answerer: groups of words that stand for the same, and lists of kinds.
 *
 * All words are stems (see words.ts). General English only: nothing here is about one video.
 */
import { stemOf } from "./words.ts";

const stems = (text: string): string[] => text.split(/\s+/).filter(Boolean).map(stemOf);
const set = (text: string): ReadonlySet<string> => new Set(stems(text));

/** Words of a line may stand for one another. */
const SYNONYMS = `
wear wears dressed clothed clad
carry carries hold bring brings transport
automobile car vehicle
bicycle cycle
person somebody someone human
man guy gentleman
woman lady
child kid
child boy
child girl
sweater pullover jumper
trousers pants slacks jeans
coat overcoat
jacket blazer
cap hat
hat beanie helmet
bag handbag purse
suitcase luggage case
street road
ship boat ferry
begin start open
end finish close
shop store
cafe coffeehouse
kilo kilogram
picture image
talk speak
say mention
repair fix
cook prepare
sell offer
work serve
take last
ride trip
catch fish
collect gather pick
help assist
pull drag
like love enjoy adore
big large huge
small little tiny
look watch
speak language
teach instruct
make prepare cook bake
clean sweep wash
lecture talk
lunch meal dinner supper
come arrive
water sprinkle
own have
photo picture photograph
cost price
cost much
name call
owner proprietor
harbor port pier
picture painting
author writer
musician player
film video
journey trip
swim swimming
purple violet
evening night
`;

const GROUPS: readonly ReadonlySet<string>[] = SYNONYMS.trim().split("\n").map(set);
const GROUPS_BY_STEM = new Map<string, ReadonlySet<string>[]>();
for (const group of GROUPS) {
  for (const stem of group) GROUPS_BY_STEM.set(stem, [...(GROUPS_BY_STEM.get(stem) ?? []), group]);
}

export function areSynonyms(a: string, b: string): boolean {
  return (GROUPS_BY_STEM.get(a) ?? []).some((it) => it.has(b));
}

export const STOP_WORDS =
  set(`a an the of in on at to for from by with and or is are was were be been being do does did
  that this these those it its they them their there here he she his her him hers who whom whose what which when where
  why how i we you me us our your my as into onto up out off over under about around near next then than so not no
  can could may might will would shall should must have has had get gets got some any all both each also just very
  one's kind type sort please tell mr mrs ms miss dr whose`);

/** Words that a question uses about the video itself: they ask for nothing in it. */
export const FRAME_WORDS =
  set(`video film clip scene picture shown show see seen appear visible watch look hear heard
  mention mentioned narrator say said speaker talk talked told first last moment time point narration screen find found
  happen during displayed spoken voice appearing`);

export const PRONOUNS = set("he she they it his her their him them");
export const DETERMINERS = set(
  "a an the this that these those his her their its my our your some any one's all every each",
);
export const PREPOSITIONS =
  set(`in on at to for from by with of under over near into onto around behind beside through
  across between above below inside outside until after before during about`);
export const CONJUNCTIONS = set("and or but while because who which that when where then");
export const WEAR_VERBS = set("wear dressed");
export const HAVE_VERBS = set("carry hold have bring with");
/** Things that people have in their hands. */
export const HELD_THINGS =
  set(`umbrella parasol bag handbag backpack suitcase basket bucket box parcel book notebook newspaper letter map
  camera phone laptop guitar violin flute trumpet balloon flag kite ball racket flower flowers bouquet cup mug glass
  bottle jug pot pan bowl plate tray spoon cake bread lantern lamp torch candle rope stick broom shovel rake hammer
  toolbox saw brush surfboard skateboard ticket sign microphone trophy puppy teddy doll`);
export const AUXILIARIES = set(
  "is are was were be been does do did has have had can could will would may might must",
);

/** Verbs that say little by themselves: "give a speech" is a speech. */
export const LIGHT_VERBS = set("give make take do get go come be let put keep new");

export const PEOPLE_NOUNS = set(
  "people persons person men women man woman friends children child guests somebody boys girls",
);
/** What people are to others, or do for a living: they stand where names stand. */
export const ROLE_NOUNS =
  set(`mother father brother sister grandmother grandfather grandma grandpa uncle aunt cousin son daughter husband
  wife friend neighbor teacher doctor nurse driver waiter waitress keeper captain pilot sailor painter artist musician
  singer dancer player baker butcher cook chef farmer fisherman gardener shepherd hunter carpenter mechanic engineer
  guide guard caretaker janitor manager director boss owner seller vendor trader coach trainer referee judge lawyer
  policeman policewoman officer firefighter fireman soldier king queen prince princess magician clown actor actress
  author writer poet reporter journalist photographer hairdresser barber tailor librarian scientist professor student
  pupil mayor priest vet veterinarian zookeeper host guest visitor tourist traveler passenger winner rider cyclist
  runner swimmer conductor drummer guitarist pianist violinist postman mailman secretary assistant cashier cleaner
  instructor leader president helper worker colleague`);
export const COLORS =
  set(`red orange yellow green blue purple violet pink brown black white gray beige navy maroon teal
  turquoise lime lavender silver gold golden charcoal olive mustard crimson scarlet cream tan`);
export const TOPS =
  set(`shirt sweater pullover jumper jacket blazer coat overcoat suit dress top blouse hoodie cardigan
  vest robe gown uniform tshirt clothes clothing outfit`);
export const ONE_PIECES = set("dress gown robe coat suit overcoat");
export const BOTTOMS = set("trousers pants slacks jeans shorts skirt leggings");
export const HATS = set("hat cap beanie helmet hood");
export const EXTRAS = set("scarf apron tie shawl");
export const CLOTHES = new Set([
  ...TOPS,
  ...BOTTOMS,
  ...HATS,
  ...EXTRAS,
  ...set("shoes boots gloves glasses socks belt"),
]);

export const DAYS = set("monday tuesday wednesday thursday friday saturday sunday");
export const MONTHS = set(
  `january february march april june july august september october november december`,
);
export const PLACE_NOUNS =
  set(`street road square lake mountain mount hotel museum market beach park harbor port station
  airport cafe restaurant village town city island bridge river forest farm hut camp bakery shop house hall office yard
  garden kitchen school church castle valley meadow summit pool room platform gate pier company center theater library`);

/** "A dress" is a thing, "dressed" is not, though both have one stem. */
export function isClothes(token: { readonly text: string; readonly stem: string }): boolean {
  return CLOTHES.has(token.stem) && token.text.toLowerCase() !== "dressed";
}

/** Finer names and the basic colour that a question may use for them. */
const COLOR_FAMILIES: Readonly<Record<string, string>> = {
  navy: "blue",
  turquoise: "blue",
  teal: "green",
  maroon: "red",
  crimson: "red",
  scarlet: "red",
  beige: "brown",
  tan: "brown",
  cream: "white",
  lime: "green",
  olive: "green",
  lavender: "purple",
  violet: "purple",
  charcoal: "gray",
  silver: "gray",
  gold: "yellow",
  golden: "yellow",
  mustard: "yellow",
};

export function basicColor(stem: string): string {
  const family = Object.entries(COLOR_FAMILIES).find(([shade]) => stemOf(shade) === stem);
  return family?.[1] ?? stem;
}

/** Numbers that speech recognition writes as the word that sounds the same. */
export const NUMBER_SOUNDS: Readonly<Record<string, string>> = {
  for: "four",
  to: "two",
  too: "two",
  won: "one",
  ate: "eight",
  tan: "ten",
  mind: "nine",
  sex: "six",
};
