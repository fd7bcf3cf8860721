/**
 * Common given names of several languages.
 *
 * Why: a transcript has no capital letters, so that "grace" and "rose" look like other words. Names
 *      that are not listed are still found by where they stand in a sentence.
 */
const NAMES = `aaron abigail adam adrian ahmed aisha alan albert alex alexander alexandra alfred ali alice alicia alison
alma amanda amber amelia amir amy ana andrea andrew angela anita ann anna anne annie anthony antonio april arthur ashley
audrey barbara beatrice ben benjamin bernard beth betty bill billy bob bonnie boris brandon brenda brian bridget bruce
camila carl carla carlos carmen carol caroline catherine cecilia charles charlotte chen chloe chris christian christina
christine christopher claire clara claudia colin connor craig cynthia daisy dan daniel daniela danielle david dean deborah
denis dennis diana diane diego dmitri dominic donald donna doris dorothy douglas dylan edgar edith edward eileen elena eli
elias elizabeth ella ellen elsa emily emma eric erica erik ernest esther ethan eugene eva evan eve evelyn fatima felix
fernando fiona florence frances francis frank fred frederick gabriel gary george gerald gina gloria gordon grace graham
greg gregory hannah hans harold harriet harry hassan heather hector heidi helen helena henry herbert hugh hugo ian ibrahim
igor ines ingrid irene iris isaac isabel isabella ivan jack jacob james jan jane janet jason jasmine javier jean jeff
jennifer jeremy jessica jill jim joan joanna joe joel johan john jonathan jordan jorge jose joseph joshua joyce juan judith
judy julia julian julie june karen karin karl kate katherine kathleen kathy keith kelly ken kenneth kevin kim kurt kyle
lara larry laura lauren lawrence layla lea leah lena leo leon leonard leonardo lewis liam lily linda lisa logan lois louis
louise lucas lucia lucy luis luke lydia mabel madeleine manuel marc marco marcus margaret maria marie marilyn mario marion
mark marta martha martin mary mason mateo matthew maurice max maya megan melanie melissa mia michael michelle miguel mike
mila miles miriam mohamed mohammed molly monica nadia nancy naomi natalia natalie nathan neil nicholas nick nicolas nicole
nigel nina noah nora norman oliver olivia omar oscar otto owen pablo pamela patricia patrick paul paula pauline pedro
penny peter philip phoebe pierre priya rachel ralph ramon raymond rebecca ricardo richard rita robert roberto robin roger
roland ronald rosa rosalind rose rosemary ross roy ruby russell ruth ryan sabrina sally sam samantha samuel sandra sara
sarah scott sean sebastian sergio sharon shirley silvia simon sofia sonia sophia sophie stanley stella stephanie stephen
steve steven stuart susan susanna suzanne sven sylvia tamara tanya tara ted teresa terry theo theresa thomas tim timothy
tina toby todd tom tomas tony tracy trevor tristan ursula valentina valerie vanessa vera vernon veronica victor victoria
vincent viola violet virginia vivian vladimir walter wanda warren wayne wendy wilhelm will william winston xavier yasmin
yolanda yuki yusuf yvonne zachary zara zoe`;

export const GIVEN_NAMES: ReadonlySet<string> = new Set(NAMES.split(/\s+/));

/** Of these, words that sentences also use for other things: a name only where one may stand. */
export const AMBIGUOUS_NAMES: ReadonlySet<string> = new Set(
  "april june mark will rose grace amber bill bob daisy frank iris jack jean lily mason max may miles penny ray robin ruby sandy violet dean drew gene rich art pat rob sue victor harry kelly".split(
    " ",
  ),
);
