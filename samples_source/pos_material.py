"""The material of the sample corpus for part-of-speech tagging: words by split, and templates. Pure data.

Templates stand one to a line, already split into words. A word has the tag written behind it (`to/PART`), otherwise its
usual one (`USUAL`). A slot is filled with a word of its kind and has the tag of `TAGS`, or the one behind it:
`{act/NOUN}` and `{act/VERB}` draw from the same words. The tags are the universal ones as English treebanks use them:
"her" and "his" are PRON, a form of "be" is AUX unless it says that something exists, "to" before a verb is PART.
"""

# Words of the templates by their usual tag.
USUAL = {
    "ADJ": "many old",
    "ADP": "at behind between from in of on under with without",
    "ADV": "again already also here how never only rather soon too very why",
    "AUX": "are be been could is was would",
    "CCONJ": "and neither nor or",
    "DET": "a any each every the",
    "INTJ": "hello oh please",
    "NOUN": "euros evening friend hours morning price sale thanks water year",
    "PART": "n't not",
    "PRON": "anyone everyone everything he her him his i it my nobody nothing she them they we who whose you your",
    "PUNCT": ". , ? ! ; :",
    "SCONJ": "although if unless whether while",
    "SYM": "$ %",
    "VERB": "asked came cost costs gave hopes let lived looks missed need said says see stayed stood "
    "talked think told took turn waited wants went works written",
}

# The tag of a slot that names none. The kinds that are not here (act, acts, go, goes, shade, pace, ing) have several.
TAGS = {
    "first": "PROPN",
    "city": "PROPN",
    "person": "NOUN",
    "persons": "NOUN",
    "thing": "NOUN",
    "things": "NOUN",
    "stuff": "NOUN",
    "room": "NOUN",
    "adj": "ADJ",
    "adv": "ADV",
    "verb": "VERB",
    "verbs": "VERB",
    "verbed": "VERB",
    "done": "VERB",
    "doing": "VERB",
    "num": "NUM",
    "year": "NUM",
}

# Every split draws from these too: words that training shows with several tags, and that need their context still.
EVERYDAY = {
    "first": "Rose;May;Will;Mark",
    "city": "Reading;Nice",
    "num": "two;three;four;five;six;nine;ten;12;15;40",
    "year": "1987;1995;2003;2012;2019",
    "act": "paint;order",
    "acts": "paints;orders",
    "go": "walk;talk",
    "goes": "walks;talks",
    "shade": "light;cold",
    "pace": "fast;hard;late",
}

# Words of one split: none of them occurs in another.
WORDS = {
    "train": {
        "first": "Amara;Bram;Celeste;Dario;Elif;Farah;Goran;Hana;Ines;Joon;Katya;Leif;Mirela;Nuno;Oksana;Priya",
        "city": "Lisbon;Oslo;Nairobi;Lima;Kyoto;Prague;Toronto;Krakow;Hanoi;Accra",
        "person": "baker;nurse;painter;plumber;teacher;chemist;sailor;farmer;cousin;neighbour;girl;lawyer;guard;clerk",
        "persons": "bakers;nurses;sailors;farmers;teachers;guards;clerks;cousins;girls",
        "thing": "ladder;basket;kettle;blanket;lamp;wagon;bottle;carpet;piano;letter;ticket;mirror;engine;jacket;knife",
        "things": "ladders;baskets;bottles;letters;tickets;lamps;jackets;knives;engines;mirrors",
        "stuff": "soup;flour;bread;wool;honey;sand;paper;milk",
        "room": "kitchen;garden;cellar;museum;station;village;office;forest;bank",
        "adj": "heavy;strange;cheap;narrow;dusty;happy;gentle;tired;wooden;tiny;angry;famous;useless;careful;friendly",
        "adv": "slowly;quickly;badly;carefully;suddenly;rarely;quietly;gladly;secretly;seldom",
        "verb": "carry;clean;sell;borrow;repair;bring;fetch;admire;destroy;choose",
        "verbs": "carries;cleans;sells;borrows;repairs;brings;admires;chooses",
        "verbed": "carried;cleaned;sold;borrowed;repaired;brought;admired;destroyed;chose",
        "done": "carried;cleaned;sold;borrowed;repaired;brought;destroyed;chosen",
        "doing": "carrying;cleaning;selling;repairing;borrowing;admiring",
        "act": "plan;load;polish;wrap;film;label;rent",
        "acts": "plans;loads;films;labels;rents;wraps",
        "go": "dance;rest;swim;laugh;march",
        "goes": "dances;rests;swims;laughs;marches",
        "shade": "orange;green;dark;quiet",
        "pace": "early;straight",
        "ing": "painting;building;opening",
    },
    "validation": {
        "first": "Anneke;Bashir;Carmela;Davide;Esther;Fatou;Gregor;Hiroko",
        "city": "Vienna;Ghent;Kampala;Cusco;Dublin;Izmir",
        "person": "tailor;dentist;miner;butcher;grandson;poet;driver;gardener",
        "persons": "tailors;dentists;miners;poets;butchers;drivers",
        "thing": "bucket;pillow;candle;tent;violin;parcel;hammer;radio",
        "things": "buckets;candles;parcels;hammers;pillows;tents",
        "stuff": "rice;butter;coal;tea;salt",
        "room": "attic;harbour;bakery;valley;library",
        "adj": "clumsy;rusty;lonely;polite;enormous;lazy;crooked;elderly",
        "adv": "loudly;gently;twice;eagerly;politely",
        "verb": "remove;steal;buy;inspect;keep",
        "verbs": "removes;steals;buys;inspects;keeps",
        "verbed": "removed;stole;bought;inspected;kept",
        "done": "removed;stolen;bought;inspected;kept",
        "doing": "removing;stealing;buying;inspecting",
        "act": "copy;design;mail;trade",
        "acts": "copies;designs;trades",
        "go": "run;jump;sleep;smile",
        "goes": "runs;jumps;smiles",
        "shade": "brown;pink;calm;damp",
        "pace": "long;low",
        "ing": "drawing;meeting",
    },
    "test": {
        "first": "Agnieszka;Benedikt;Chiara;Dmitri;Eleni;Folake;Gustavo;Henrike",
        "city": "Geneva;Utrecht;Nagoya;Brno;Leeds;Bilbao",
        "person": "carpenter;pilot;singer;judge;niece;fisherman;barber;student",
        "persons": "carpenters;pilots;singers;judges;students;barbers",
        "thing": "barrel;curtain;helmet;cupboard;trumpet;envelope;saddle;clock",
        "things": "barrels;curtains;helmets;envelopes;clocks;saddles",
        "stuff": "cheese;sugar;clay;coffee;silk",
        "room": "barn;theatre;market;meadow;airport",
        "adj": "fragile;greedy;noisy;silent;ancient;proud;sticky;lively",
        "adv": "smoothly;calmly;nervously;everywhere;thrice",
        "verb": "describe;throw;hang;replace;ignore",
        "verbs": "describes;throws;hangs;replaces;ignores",
        "verbed": "described;threw;hung;replaced;ignored",
        "done": "described;thrown;hung;replaced;ignored",
        "doing": "describing;throwing;hanging;replacing",
        "act": "lock;measure;drop;report",
        "acts": "locks;measures;drops;reports",
        "go": "climb;cry;dive;stroll",
        "goes": "climbs;cries;dives;strolls",
        "shade": "blue;yellow;purple;chill",
        "pace": "deep;high",
        "ing": "recording;warning",
    },
}

# Used by every split.
SHARED = {
    "plain": """
The {adj} {person} {verbed} the {thing} .
{first} {verbed} a {adj} {thing} from the {room} .
I think that/SCONJ {first} will/AUX {verb} the {things} .
That/DET {person} has/AUX never {done} a {thing} before/ADV .
That/PRON is why {first} {verbed} it .
The {thing} that/PRON {first} {verbed} was too {adj} .
She went to/ADP {city} to/PART {verb} the {stuff} .
{first} wants to/PART {go/VERB} to/ADP the {room} .
The {go/NOUN} to/ADP the {room} took {num} hours .
Her {go/NOUN} was {adj} , but/CCONJ nobody said that/PRON .
They told her to/PART {act/VERB} the {thing} .
The {act/NOUN} for/ADP the {thing} came from {city} .
He {acts/VERB} {things} and {verbs} {stuff} .
The {acts/NOUN} in the {room} are {adj} .
{first} 's/PART {person} {goes/VERB} {pace/ADV} .
{first} 's/AUX {doing} the {thing} again .
It was a {pace/ADJ} {go/NOUN} , and the {person} was {adj} .
We {go/VERB} {pace/ADV} every evening .
The {shade/NOUN} of the {room} made/VERB him {adj} .
A {shade/ADJ} {thing} is under the {thing} .
There/PRON is/VERB a {shade/ADJ} {thing} in the {room} .
There/PRON were/VERB {num} {persons} behind the {thing} .
My {person} went there/ADV to/PART {go/VERB} .
No/DET {person} would {verb} a {adj} {thing} .
No/INTJ , I did/AUX not {verb} the {stuff} .
{first} did/VERB nothing , and the {persons} {verbed} everything .
Do/AUX you have/VERB any {stuff} ?
They have/AUX {done} the {things} {adv} .
He had/VERB a {act/NOUN} , but/CCONJ she had/AUX already {done} the {thing} .
She does/VERB it {adv} ; he does/AUX not .
After/ADP the {go/NOUN} , {first} {adv} {verbed} the {thing} .
After/SCONJ they {verbed} the {thing} , the {person} went there/ADV too .
{first} has/AUX lived in {city} since/ADP {year} .
Since/SCONJ {first} is in {city} , we {act/VERB} the {things} here .
Before/SCONJ you {act/VERB} it , {verb} the {thing} .
Before/ADP the {ing/NOUN} the {room} was {shade/ADJ} .
{first} was {ing/VERB} them in the {room} .
Nobody liked/VERB the {ing/NOUN} in the {room} .
I like/VERB {stuff} , and you {go/VERB} like/ADP a {person} .
It looks like/ADP a {shade/ADJ} {thing} .
As/ADP a {person} , {first} {verbed} many {things} .
As/SCONJ the {person} {verbed} it , the {thing} fell/VERB .
The {thing} is as/ADV {adj} as/ADP the {thing} .
The {thing} was more/ADV {adj} than/SCONJ {first} said .
We need more/ADJ {stuff} than/ADP {first} .
What/PRON did/AUX the {person} {verb} ?
What/DET {thing} did/AUX {first} {verb} ?
Which/DET {thing} is {shade/ADJ} , and which/PRON is not ?
Both/DET {persons} {verbed} the {stuff} .
Both/CCONJ {first} and {first} {verbed} the {thing} .
The {person} can/AUX {verb} a can/NOUN of {stuff} .
May/AUX I {verb} your {thing} ?
The {person} found/VERB his will/NOUN in a {thing} .
Oh , please {verb} the {thing} !
Well/INTJ , the {person} {verbs} it well/ADV .
The well/NOUN near/ADP the {room} is very old .
The {thing} costs $ {num} , and the {stuff} $ {num} .
About/ADV {num} % of the {persons} {verb} {stuff} .
They talked about/ADP the {adj} {person} for/ADP {num} hours .
For/SCONJ her to/PART {verb} the {thing} is {adj} .
Turn right/ADV at the {room} , not left/ADV .
{first} left/VERB the {thing} on the right/NOUN .
The right/ADJ {thing} was in the left/ADJ {thing} .
Her back/NOUN hurt/VERB , and she went back/ADV to/ADP {city} .
The price of a rose/NOUN rose/VERB in {city} .
{first} saw/VERB a saw/NOUN in the {thing} .
The leaves/NOUN are {shade/ADJ} , and {first} leaves/VERB soon .
Please light/VERB the {thing} while it is {shade/ADJ} .
The {stuff} is {shade/ADJ} enough/ADV for/ADP the {person} .
There/PRON is/VERB enough/ADJ {stuff} here .
The {person} stood outside/ADV , and {first} waited outside/ADP the {room} .
If {first} {verbs} the {thing} , we {verb} the {things} .
Although she was {adj} , {first} {acts/VERB} the {things} {adv} .
Everyone in Reading/PROPN is reading/VERB now/ADV .
The {persons} , who {go/VERB} every morning , {verb} {things} .
This/PRON is the {person} who {verbed} this/DET {thing} .
These/DET {things} are {adj} , those/PRON are not .
The last/ADJ {ing/NOUN} did/AUX not last/VERB .
Next/ADJ year {first} and {first} will/AUX {act/VERB} a {thing} .
He felt/VERB {adj} ; the {thing} was of felt/NOUN .
{first} , a {person} from {city} , {verbed} it in {year} .
{act/VERB} the {thing} and {verb} the {stuff} .
{acts/NOUN} are {adj} in {city} .
Is the {act/NOUN} in the {room} , or did/AUX {first} {verb} it ?
Do/AUX n't {act/VERB} the {thing} !
She is her {person} 's/PART friend , and she 's/AUX {adj} .
I mean/VERB that/SCONJ the {person} is mean/ADJ .
What/DET kind/NOUN of {person} is kind/ADJ to/ADP {persons} ?
Still/ADV , the water is still/ADJ .
""",
    "forum": """
does/AUX anyone in {city} {verb} {things} ?
i {act/VERB} my {thing} with {stuff} , works {adv}
my {person} says that/SCONJ {first} {acts/VERB} {stuff} in {city}
that/DET {act/NOUN} was so/ADV {adj} , thanks {first}
is {first} still/ADV in {city} or did/AUX she {go/VERB} back/ADV ?
oh no/INTJ , no/DET {stuff} in the {room} again
need to/PART {verb} a {shade/ADJ} {thing} before/ADP may/PROPN
{acts/NOUN} and {acts/NOUN} and nothing {adj}
will/AUX will/PROPN {act/VERB} it ?
{shade/ADJ} {things} for/ADP sale , $ {num} each
""",
}

# Never seen in training.
HELD_OUT = {
    "validation": {
        "plain": """
The {person} whose {thing} was {done} has/AUX written to/ADP {first} .
Neither the {thing} nor the {stuff} was {done} .
Not only the {person} but/CCONJ also the {persons} {act/VERB} {things} .
{first} let the {person} {act/VERB} those/DET {things} .
Nothing about/ADP the {ing/NOUN} was {shade/ADJ} until/SCONJ {first} came .
They stayed in the {room} until/ADP the {go/NOUN} .
How {pace/ADV} can/AUX a {person} {go/VERB} ?
Without that/DET {act/NOUN} , {first} could {verb} no/DET {things} .
To/PART {act/VERB} a {thing} is {adj} ; a {act/NOUN} is not .
{first} gave her her {thing} and {verbed} the {stuff} .
It is the {shade/NOUN} that/PRON the {persons} like/VERB .
Those/PRON who {go/VERB} {pace/ADV} see less/ADJ of {city} .
Whether {first} {acts/VERB} or {verbs} it , that/DET {thing} is {adj} .
One/NUM of the {acts/NOUN} cost over/ADV {num} euros .
He {acts/VERB} as/SCONJ he {goes/VERB} : {adv} .
The {person} who was {ing/VERB} them missed the {ing/NOUN} .
Since/ADP the {go/NOUN} , her {person} has/AUX {done} {num} {things} .
A {adj} {go/NOUN} is {pace/ADJ} , unless you {go/VERB} with {first} .
""",
        "forum": """
that/PRON 's/AUX not a {act/NOUN} , {first} , that/PRON 's/AUX a {thing}
why do/AUX {persons} {act/VERB} {stuff} in {city} ?
can/AUX you {go/VERB} like/ADP that/PRON ?
hello , {act/NOUN} or no/DET {act/NOUN} , {first} has/VERB my {thing}
""",
    },
    "test": {
        "plain": """
Had/AUX {first} {done} the {stuff} , the {person} would be {adj} .
Once/SCONJ the {thing} was {done} , {first} let them {go/VERB} .
{act/VERB} or {verb} it , but/CCONJ do/VERB it {adv} !
In {city} , {acts/NOUN} like/ADP that/PRON are {adj} .
Nobody asked which/DET {person} {acts/VERB} the {things} .
The {person} saw/VERB a {go/NOUN} and that/DET {shade/ADJ} {thing} .
So/ADV {shade/ADJ} was the {room} that/SCONJ the {persons} {verbed} nothing .
It took {first} {num} hours to/PART {act/VERB} the {thing} .
Her {persons} {act/VERB} what/PRON she {verbs} .
Between the {go/NOUN} and the {ing/NOUN} , {first} {verbed} {stuff} .
{first} went to/ADP {city} for/ADP the {shade/NOUN} , not for/ADP the {stuff} .
As/ADV {pace/ADV} as/SCONJ she could , the {person} {verbed} it .
Everything that/PRON the {person} {acts/VERB} is {adj} .
There/PRON has/AUX been/VERB a {ing/NOUN} in every {room} .
Would you rather {go/VERB} or {act/VERB} {things} ?
The {acts/NOUN} , {adj} as/SCONJ they are , have/AUX been {done} .
{first} hopes to/PART have/VERB a {act/NOUN} like/ADP this/PRON .
While {first} was {ing/VERB} them , the {person} had/VERB a {go/NOUN} .
""",
        "forum": """
ok/INTJ {first} , {act/VERB} that/DET {thing} and {go/VERB}
i {verbed} her {act/NOUN} and she {verbed} my {thing}
to/ADP {city} and back/ADV in {num} hours , what/DET a {go/NOUN}
{num} {persons} , {num} {things} and no/DET {act/NOUN}
""",
    },
}
