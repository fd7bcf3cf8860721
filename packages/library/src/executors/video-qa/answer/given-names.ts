/**
 * Common given names of several languages.
 *
 * Why: a transcript has no capital letters, so that "grace" and "rose" look like other words. Names
 *      that are not listed are still found by where they stand in a sentence.
 */
const NAMES = `aaron abigail adam adele adrian agatha agnes agnieszka ahmed aisha akira alan albert alberto alejandro alessandro alex
alexander alexandra alfred ali alice alicia alina alison alma ama amanda amber amelia amina amir amira amy ana andre
andrea andrew angela angelo anil anita anja ann anna anne annie annika anthony anton antonio april archie ariel arjun
arnold arthur asha ashley astrid audrey ava axel aylin barbara beatrice bella ben benedict benjamin benny bernard
bernd bert bertha beth betty bianca bilal bill billy birgit bjorn bob bonnie bonny boris brad brandon brenda brian
bridget bruce bruno camila cara carina carl carla carlos carmen carol carolina caroline casey catherine cecilia cedric
celine chad charles charlotte chen chiara chloe chris christian christina christine christopher chuck cindy claire
clara clarence claudia clement clive clyde colin connor conrad constance cora cornelia craig curtis cynthia cyril
dagmar daisy damian dan daniel daniela danielle daphne darren dave david dean deborah deepak deirdre delia denis
denise deniz dennis derek desmond diana diane diego dieter divya dmitri dmitry dolores dominic donald donna dora
dorian doris dorothy douglas duncan dylan earl ebony eddie edgar edith edward edwin effie egon eileen elaine eleanor
elena eli elias elif elise eliza elizabeth ella ellen ellie elliot elmer elsa elvira emil emilia emilio emily emma
emmanuel emre enrique enzo eric erica erik erin ernest ernie erwin esme estelle esther ethan eugene eugenia eva evan
eve evelina evelyn ewa ezra fabian faith farah fatima fay felix ferdinand fernando finn fiona fletcher flora florence
floyd frances francis franco frank franz fred freddie frederic frederick freya frida gabriel gareth gary gemma
geoffrey george georgia gerald gerda gerhard gilbert giles gina giovanni giulia glenn gloria gonzalo gordon grace
graham greg gregory greta guido gunther gustav guy gwen hamza hana hannah hans harold harriet harriett harry harvey
hassan hazel heather hector heidi heinrich heinz helen helena helga henrik henry herbert herman hilda hiroshi holger
holly hope horst howard hubert hugh hugo humphrey ian ibrahim ida igor imogen ines ingo ingrid irene iris irma irving
isaac isabel isabella isla ivan ivy jack jackie jacob jacqueline jacques jaime jakob jamal james jamie jan jane janet
janice jared jasmine jason jasper javier jay jean jeff jenna jennifer jenny jeremiah jeremy jerome jerry jesse jessica
jessie jill jim joachim joan joanna jodie joe joel joey johan johann johanna john jonah jonas jonathan jordan jorge
jose joseph josephine josh joshua josie joyce juan judith judy julia julian julie juliet juliette june justin kai
karen karim karin karl karla kasia kasper katarina kate katharina katherine kathleen kathy katie katja kay keiko keira
keith kelly kelvin ken kenji kenneth kerstin kevin kim kiran kirsten klaus kofi kurt kwame kyle lakshmi lance lara
larry laura lauren lawrence layla lea leah leila lena lenny leo leon leonard leonardo leslie leticia levi lewis liam
lily linda ling lionel lisa lisbeth liz lloyd logan lois lola lorenzo lorraine lotte lottie louis louise luca lucas
lucia lucie lucy ludwig luigi luis luke luna lydia lynn mabel madeleine maggie malcolm malik manfred manuel marc
marcel marcia marco marcus marek margaret margot maria marianne marie marilyn marina mario marion mark marlene marta
martha martin marvin mary mason mateo mathilda matilda matt matteo matthew maureen maurice max maxine maya meera megan
mehmet mei melanie melinda melissa mercedes meredith mia michael michaela michelle mickey miguel mike mila milan miles
millie milo milton mina mingxia minna mira miriam mitchell mo mohamed mohammed molly monica morgan moritz moses muriel
myra myrtle nadia nadine nancy naoko naomi natalia natalie natasha nathan ned neil nelly nelson nia nicholas nick nico
nicolas nicole nigel nikhil nils nina noah noel nora norman odette oksana olaf olena olga olive oliver olivia omar
orlando oscar oswald otis otto owen pablo paco paige pamela paola pascal patricia patrick patsy paul paula pauline
paulo pearl pedro penny percy peter petra phil philip philippa phoebe pia pierre piotr polly priscilla priya priyanka
rachel rafael rahul raj ralf ralph ramon ramona ravi raymond rebecca regina reginald reinhard renate rene reuben rex
rhonda ricardo richard ricky rita robert roberto robin rocco rodney rodrigo roger rohan roland roman romeo ronald rosa
rosalind rose rosemary rosie ross rowan roy ruby rufus rupert russell ruth ryan sabrina sadie sakura sally salma
salvador sam samantha samuel sandra sanjay santiago sara sarah sasha saul scarlett scott sean sebastian selina selma
serena sergei sergio seth shane sharon sheila shirley sid sidney siegfried sigrid silas silvia silvio simon simone
sofia solomon sonia sophia sophie spencer stan stanley stefan stefanie stella stephanie stephen steve steven stuart
sunita susan susanna susanne susie suzanne sven svetlana sybil sylvia tabitha takeshi tamara tanja tanya tara tatiana
ted teresa terry tess thea thelma theo theodor theodore theresa thomas thorsten tilda tim timothy tina tobias toby
todd tom tomas tommy toni tony tracy trevor tristan trudy udo ulrich uma una ursula uwe vadim valentina valerie
vanessa vera vernon veronica vicky victor victoria vijay viktor vince vincent vincenzo viola violet virginia vittorio
vivian vladimir wallace walt walter wanda warren wayne wendy wesley wilfred wilhelm will william willy wilma winifred
winnie winston wolfgang xavier yannick yara yasmin yoko yolanda yuki yuri yusuf yvette yvonne zachary zara zelda zoe
zofia zoltan`;

export const GIVEN_NAMES: ReadonlySet<string> = new Set(NAMES.split(/\s+/));

/** Of these, words that sentences also use for other things: a name only where one may stand. */
export const AMBIGUOUS_NAMES: ReadonlySet<string> = new Set(
  "april june mark will rose grace amber bill bob daisy frank iris jack jean lily mason max may miles penny ray robin ruby sandy violet dean drew gene rich art pat rob sue victor harry kelly guy hope faith ivy hazel holly olive pearl earl chuck jay luna georgia nelson roman regina rex stan phil matt ned mo may ama mira guido lance morgan jesse brad chad cora dora ida una uma nia mina kay fay ava mei scarlett".split(
    " ",
  ),
);
