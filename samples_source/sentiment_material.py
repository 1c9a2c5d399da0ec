"""The material of the sample sentiment corpus: words, disjoint by split, and sentence templates. Pure data.

Phrases are separated by semicolons; of a pair, the first is the positive side. A noun with a plus sign is a plural.

A template stands on its own line. A slot with a sign is an opinion: `=` agrees with the label of the sentence, `!`
contradicts it, `+` is positive and `-` negative whatever the label. A template that opens with a sign is written for
that label alone. A digit names one of the two aspects of the thing that the sentence may talk about.

Opinion slots: g (adjective), a (adjective of an aspect), love and loved (verb), joy (noun with its article), ly
(adverb), point (noun), case (a clause whose opinion is in the facts). Other slots: x (the thing or its name), thing, n
(the aspect), was and is (agreeing with it), done (a participle for ly), who (a person); facts also know num, day, month
and town.
"""

# Adjectives, verbs, nouns and adverbs that fit everything. Every verb is regular.
OPINIONS = {
    "train": {
        "g": (
            "wonderful;splendid;superb;excellent;delightful;brilliant;marvellous;terrific;charming;impressive;lovely;"
            "fantastic;memorable;outstanding;remarkable",
            "dreadful;awful;terrible;disappointing;boring;dull;horrible;miserable;pathetic;lousy;tedious;annoying;"
            "frustrating;unbearable;appalling",
        ),
        "love": ("love;enjoy;adore;admire;appreciate;treasure", "hate;dislike;detest;loathe;resent"),
        "joy": (
            "a joy;a delight;a treat;a triumph;a pleasure;a gem;a success;a winner",
            "a bore;a mess;a disaster;a nightmare;a failure;a letdown;a farce;a flop",
        ),
        "ly": (
            "beautifully;brilliantly;superbly;lovingly;expertly;carefully",
            "badly;carelessly;clumsily;poorly;sloppily;hastily",
        ),
        "point": ("strength;merit;virtue;highlight", "flaw;drawback;shortcoming;fault"),
    },
    "validation": {
        "g": (
            "gorgeous;magnificent;stunning;flawless;exceptional;enchanting;glorious;sensational;rewarding;heavenly;awesome",
            "ghastly;abysmal;atrocious;dismal;dire;tiresome;woeful;infuriating;vile;grim;nasty",
        ),
        "love": ("relish;cherish;applaud;praise", "despise;deplore;scorn;denounce"),
        "joy": (
            "a blessing;pure bliss;a revelation;a jewel;a privilege",
            "a catastrophe;a fiasco;a shambles;a torment;a swindle;a scandal",
        ),
        "ly": ("skilfully;thoughtfully;exquisitely;masterfully", "shoddily;lazily;crudely;ineptly"),
        "point": ("asset;upside;advantage", "downside;defect;snag"),
    },
    "test": {
        "g": (
            "fabulous;phenomenal;amazing;sublime;spectacular;great;inspiring;perfect;incredible;fascinating;satisfying;"
            "dazzling",
            "hideous;lamentable;wretched;irritating;dreary;worthless;embarrassing;underwhelming;depressing;"
            "disgraceful;exhausting;rotten",
        ),
        "love": ("celebrate;endorse;commend;respect", "curse;condemn;bemoan;reject"),
        "joy": (
            "a hit;a miracle;a dream;a stroke of luck;a ray of sunshine",
            "a waste of money;a rip-off;a dud;a slog;a headache;an insult",
        ),
        "ly": ("ingeniously;gracefully;neatly;smartly", "awkwardly;cheaply;haphazardly;stupidly"),
        "point": ("benefit;perk;bonus point", "problem;failing;nuisance"),
    },
}

# Every aspect: nouns, and the adjectives that fit all of them. `case` is positive and negative clauses.
DOMAINS = {
    "train": {
        "café": {
            "thing": "café;coffee bar;bistro",
            "name": "the Tin Kettle;Café Marigold;the Green Spoon",
            "done": "run",
            "aspects": [
                (
                    "soup;coffee;cake;omelette;sandwiches+;pastries+",
                    "delicious;fresh;flavourful;mouth-watering",
                    "bland;stale;tasteless;lukewarm",
                ),
                (
                    "waiter;barista;owner;waitresses+",
                    "friendly;attentive;welcoming;courteous",
                    "rude;surly;grumpy;careless",
                ),
                ("terrace;dining room;courtyard", "cosy;spotless;inviting", "cramped;grubby;draughty;noisy"),
            ],
            "case": (
                "the cook remembered our names;the second cup came for free;our toddler got a tiny pancake of her "
                "own;lunch was ready within minutes;they kept the kitchen open for us",
                "our order was forgotten twice;there was a hair in my salad;the bill listed two dishes we never had;"
                "the kitchen closed while we were waiting;the spoons still had lipstick on them;we waited forty "
                "minutes "
                "for toast",
            ),
            "fact": "We went there on {day} for breakfast.;It is next to the town hall in {town}.;I ordered at the "
            "counter.;The place seats about forty people.;My {who} paid for lunch.;They opened in {month}.",
        },
        "phone": {
            "thing": "phone;smartphone;handset",
            "name": "the Aerolite 5;the Nimbus Mini;the Vantro X2",
            "done": "built",
            "aspects": [
                ("screen;display;camera;photos+", "sharp;vivid;bright;crystal-clear", "blurry;dim;grainy;murky"),
                (
                    "battery;charger;fingerprint reader;speakers+;buttons+",
                    "reliable;dependable;top-notch",
                    "faulty;unreliable;hopeless;flimsy",
                ),
                (
                    "menu;keyboard;settings+;software",
                    "intuitive;responsive;snappy;smooth",
                    "laggy;confusing;sluggish;buggy",
                ),
            ],
            "case": (
                "the battery lasted two days;the glass survived a fall onto concrete;the seller replaced "
                "my cable at no cost;even my grandmother found the torch button;my contacts moved over in minutes",
                "the screen froze during every chat;the battery was dead by noon;the glass cracked inside my pocket;"
                "the alarm did not go off on {day};the case overheated on the first video chat;the charger scorched my "
                "desk",
            ),
            "fact": "I bought it online in {month}.;It replaced a model I had carried for {num} years.;There is a "
            "cable "
            "and a leaflet in the carton.;My {who} has the grey one.;I use it for chats and maps.",
        },
        "film": {
            "thing": "film;movie;sequel",
            "name": "Glass Harbour;Seven Doors;The Hollow Engine",
            "done": "shot",
            "aspects": [
                (
                    "plot;script;dialogue;ending",
                    "gripping;witty;clever;touching;suspenseful",
                    "predictable;incoherent;far-fetched;clichéd;muddled",
                ),
                (
                    "cast;lead actor;leading lady;villain;extras+",
                    "convincing;magnetic;believable;charismatic",
                    "wooden;unconvincing;stiff;forgettable",
                ),
                (
                    "soundtrack;photography;scenery;costumes+;special effects+",
                    "breathtaking;atmospheric;sumptuous",
                    "ugly;amateurish;garish;tacky",
                ),
            ],
            "case": (
                "the whole cinema clapped at the end;we stayed for the credits with tears of laughter in our eyes;"
                "my {who} went to see it again the next evening;nobody looked at the clock;even the critic next to me "
                "laughed aloud",
                "half the audience left before the end;my {who} fell asleep in the second act;I checked my watch every "
                "five minutes;the trailer had already shown every joke;people around us started to yawn",
            ),
            "fact": "It runs for just under two hours.;We saw it on {day} at the cinema in {town}.;It is based on a "
            "novella from the sixties.;It was shown with subtitles.;The director shot it in {month}.",
        },
        "hotel": {
            "thing": "hotel;guest house;inn",
            "name": "Hotel Bellamar;the Old Granary;Villa Rosso",
            "done": "managed",
            "aspects": [
                (
                    "bed;bathroom;suite;shower;pillows+",
                    "comfortable;clean;luxurious;immaculate",
                    "filthy;shabby;uncomfortable;grimy;disgusting",
                ),
                (
                    "receptionist;porter;concierge;chambermaids+",
                    "helpful;gracious;polite;obliging",
                    "unhelpful;arrogant;dismissive;impolite",
                ),
                ("lobby;garden;balcony;rooftop", "idyllic;peaceful;pretty;picturesque", "gloomy;dingy;drab;bleak"),
            ],
            "case": (
                "they gave us a bigger room at no extra cost;a hot drink was waiting when we arrived;the porter found "
                "my lost passport;we slept like babies;the owner drove us to the airport himself",
                "the heating broke down on the first night;the lift was out of order all week;they lost our booking;"
                "somebody drilled next door from six in the morning;they billed my stay twice",
            ),
            "fact": "We stayed there for {num} nights in {month}.;It stands near the harbour in {town}.;Our room was "
            "on "
            "the third floor.;Breakfast is served until ten.;I booked it together with my {who}.",
        },
        "course": {
            "thing": "course;class;seminar",
            "name": "Spanish in Six Weeks;Statistics Unplugged;Pottery for Starters",
            "done": "taught",
            "aspects": [
                (
                    "lecturer;tutor;instructor;guest speakers+",
                    "patient;knowledgeable;encouraging;enthusiastic",
                    "impatient;unprepared;monotonous;condescending",
                ),
                (
                    "handouts+;slides+;textbook;syllabus;lecture",
                    "well-structured;insightful;stimulating;informative",
                    "outdated;disorganised;shallow;incomprehensible;irrelevant",
                ),
            ],
            "case": (
                "everyone passed the exam;my questions were answered the same evening;I could hold a conversation "
                "after "
                "three weeks;the last exercise got me a job offer;the teacher marked our essays overnight",
                "the teacher read the slides aloud;half the class dropped out by {month};nobody ever answered my "
                "emails;"
                "the exam covered things we had never done;the third session was cancelled without notice",
            ),
            "fact": "It took place on {day} evenings.;There were {num} students in my class.;The fee includes the "
            "materials.;We met in a school in {town}.;It ended in {month}.",
        },
        "bike": {
            "thing": "bike;bicycle;road bike",
            "name": "the Kestrel 300;the Pinnacle Tourer;the Dash Urban",
            "done": "assembled",
            "aspects": [
                (
                    "frame;saddle;gears+;chain;brakes+;handlebar",
                    "solid;well-made;robust;sturdy",
                    "rusty;creaky;wobbly;squeaky",
                ),
                (
                    "ride;handling;steering;suspension",
                    "effortless;agile;stable;smooth",
                    "bumpy;jerky;unstable;sluggish",
                ),
            ],
            "case": (
                "we climbed the hill without a sound;the tyres survived a month of gravel;the chain never slipped;"
                "the mechanic found nothing to fix;I got to work ten minutes earlier than before",
                "the chain came off on the first descent;a pedal broke within a week;two spokes snapped on a flat road;"
                "the paint peeled after one shower of rain;the left brake stopped gripping",
            ),
            "fact": "I ride about {num} miles a day.;It comes in two colours.;My {who} has the same model.;It was "
            "delivered to {town} in {month}.;It has eleven gears.",
        },
        "app": {
            "thing": "app;calendar app;budget app",
            "name": "Tidynote;Pocketplan;Cloudberry Tasks",
            "done": "designed",
            "aspects": [
                (
                    "interface;search function;toolbar;shortcuts+;layout",
                    "tidy;uncluttered;user-friendly;handy;logical",
                    "cluttered;clunky;bewildering;intrusive;chaotic",
                ),
                (
                    "support team;help desk;developers+",
                    "prompt;responsive;considerate",
                    "unresponsive;evasive;indifferent",
                ),
                ("sync;latest update;login;notifications+", "seamless;speedy;trouble-free", "glitchy;broken;erratic"),
            ],
            "case": (
                "the app saved my notes when the train lost its signal;the developers fixed my bug within a day;"
                "the search found every duplicate on its own;the free version did all I needed;my paperwork was halved",
                "the update deleted my notes;I had to type my password every morning;a banner covered the save button;"
                "the app crashed whenever I opened a file;the fee doubled overnight",
            ),
            "fact": "I installed it in {month}.;It runs in the browser, too.;My {who} told me about it.;There are "
            "{num} "
            "different themes.;I use it on the train to {town}.",
        },
        "concert": {
            "thing": "concert;gig;recital",
            "name": "the Copper Moon tour;Lantern Nights;the Riverside Proms",
            "done": "performed",
            "aspects": [
                (
                    "singer;pianist;drummer;band;choir;violinists+",
                    "energetic;passionate;virtuosic;spirited;electrifying",
                    "lifeless;uninspired;lethargic;tuneless;listless",
                ),
                (
                    "sound;acoustics+;mix;encore",
                    "rich;balanced;magical;mesmerising",
                    "tinny;muffled;jarring;distorted",
                ),
            ],
            "case": (
                "they played three encores;strangers danced with each other;the singer came down to talk to the fans;"
                "nobody wanted to go home;the whole hall sang along",
                "the band came on ninety minutes late;the microphone failed twice;they played for barely forty minutes;"
                "the singer forgot the verses;a pillar blocked our view",
            ),
            "fact": "It took place in {town} on {day}.;We had seats in row {num}.;The hall holds two thousand people.;"
            "The doors opened at seven.;I went with my {who}.",
        },
    },
    "validation": {
        "bakery": {
            "thing": "bakery;deli;food stall",
            "name": "Hazel's Oven;Crumb and Co;the Rye Corner",
            "done": "stocked",
            "aspects": [
                (
                    "bread;loaves+;muffins+;quiche;apple pie",
                    "scrumptious;yummy;appetising;luscious",
                    "burnt;rancid;unappetising;inedible",
                ),
                (
                    "cashier;baker;apprentices+;saleswoman",
                    "kind;good-humoured;hospitable;amiable",
                    "brusque;sulky;gruff;ill-mannered",
                ),
            ],
            "case": (
                "they put a gratis roll in our bag;the baker hid my favourite loaf for me;the queue was gone in a "
                "flash;"
                "my {who} ate three slices straight away;the crust was still crisp by dusk",
                "we found mould under the crust;they gave me the wrong change;the rolls were sold out by nine;"
                "my {who} got a stomach ache;a wasp was stuck in the icing",
            ),
            "fact": "It opens at six except on {day}.;It is opposite the library in {town}.;I pass it on my way to "
            "the office.;There are {num} kinds of rolls.;The ovens stand behind the till.",
        },
        "jacket": {
            "thing": "jacket;raincoat;winter coat",
            "name": "the Fjordline Parka;the Stormcoat 12;the Sherwood",
            "done": "sewn",
            "aspects": [
                (
                    "zip;lining;hood;pockets+;seams+",
                    "practical;snug;waterproof;durable",
                    "scratchy;itchy;ripped;ill-fitting",
                ),
                ("cut;colour;collar;pattern", "stylish;fashionable;flattering;elegant", "frumpy;unflattering;dowdy"),
            ],
            "case": (
                "I have worn it every day since {month};it kept me dry in a hailstorm;people in the street want to "
                "know where it is from;it came out of the wash like new;the seams held for three winters",
                "the zip jammed on day two;it shrank in the first wash;the dye stained my shirt;the lining tore after "
                "a week;the hood let the water in",
            ),
            "fact": "I chose the black one in {month}.;It hangs on the hook by my window.;My {who} owns the older one.;"
            "It weighs {num} ounces.;The parcel was mailed from {town}.",
        },
        "novel": {
            "thing": "novel;paperback;whodunit",
            "name": "The Beekeeper's Son;Thirteen Winters;Low Water",
            "done": "translated",
            "aspects": [
                (
                    "prose;narration;opening chapter;final pages+",
                    "lyrical;poignant;humorous;subtle",
                    "stilted;wordy;repetitive;pretentious",
                ),
                (
                    "heroine;narrator;main characters+;detective",
                    "sympathetic;lifelike;relatable;endearing",
                    "implausible;whiny;one-dimensional;unlikeable",
                ),
            ],
            "case": (
                "I turned its pages until dawn;chapter five made me miss my bus;my {who} asked to borrow it at "
                "once;our reading circle talked about nothing else;I turned back to page one as soon as I had finished",
                "I gave up after chapter two;I skipped a third of the pages;I knew the murderer by page ten;"
                "my {who} threw it into the recycling;every paragraph repeated the one before",
            ),
            "fact": "It has {num} chapters.;It came out in {month}.;I borrowed it from the library in {town}.;The "
            "author "
            "used to be a nurse.;I finished it on the bus.",
        },
        "campsite": {
            "thing": "campsite;caravan site;holiday village",
            "name": "Willow Bend;Camp Osprey;Larch Grove",
            "done": "maintained",
            "aspects": [
                ("pitch;meadow;riverbank;footpaths+", "scenic;tranquil;well-kept;shady", "muddy;littered;stony;marshy"),
                ("warden;caretaker;rangers+", "warm-hearted;easy-going;hospitable", "bossy;hostile;quarrelsome"),
                ("toilets+;laundry;washroom;playground", "hygienic;gleaming;modern", "smelly;unhygienic;leaky;dirty"),
            ],
            "case": (
                "our children made friends in an afternoon;the warden lent us a stove;we watched otters from the tent;"
                "firewood was included;we could swim before sunrise",
                "the drains overflowed;generators roared until dawn;the tap ran brown;our pitch was flooded;"
                "a thief stole our stove",
            ),
            "fact": "We pitched our tent there in {month}.;It is {num} kilometres outside {town}.;My {who} came along "
            "with a caravan.;The gate is locked at eleven.;We used cash.",
        },
        "museum": {
            "thing": "museum;gallery;exhibition",
            "name": "the Mill Museum;Faces of the Delta;the Ostrander Collection",
            "done": "curated",
            "aspects": [
                (
                    "audio guide;labels+;catalogue;brochure",
                    "enlightening;lively;in-depth;entertaining",
                    "superficial;long-winded;inaccurate;dusty",
                ),
                (
                    "paintings+;sculptures+;ceramics+;murals+",
                    "exquisite;haunting;evocative;luminous",
                    "soulless;kitschy;bloodless;uninteresting",
                ),
                ("guards+;guide;curator", "approachable;good-natured;communicative", "officious;haughty;aloof"),
            ],
            "case": (
                "our teenagers begged to return;the guide let us touch the fossils;we lingered until the guards "
                "turned off the lamps;one ticket was good for a year of visits;I learned more than in ten years of "
                "lessons",
                "half the wings were sealed off;the best painting was away on loan;we queued around the block for "
                "nothing;the "
                "labels were printed too small to make out;crowds pushed us past everything",
            ),
            "fact": "It is housed in a former mill in {town}.;Entry is paid at the gate.;It is not open on {day}s.;"
            "We spent "
            "{num} hours there.;My {who} kept the tickets.",
        },
    },
    "test": {
        "pizzeria": {
            "thing": "pizzeria;taverna;steakhouse",
            "name": "Da Ottilie;the Blue Anchor;Luigi's",
            "done": "decorated",
            "aspects": [
                (
                    "pizza;risotto;lasagne;meatballs+",
                    "tasty;aromatic;divine;succulent",
                    "salty;overcooked;mushy;sour",
                ),
                (
                    "chef;waitstaff;hostess;bartenders+",
                    "jovial;gentle;professional;accommodating",
                    "sullen;snooty;incompetent;cold",
                ),
            ],
            "case": (
                "the chef sent out a second dessert;candles were lit for our anniversary;my plate was empty in no time;"
                "they found us a nook despite the crowd;my {who} wanted the recipe",
                "a cockroach crawled across our table;my steak was raw inside;they added a tip without asking;my "
                "{who} was "
                "sick all weekend;flies settled on the cheese",
            ),
            "fact": "We had supper there on {day}.;It is behind the theatre in {town}.;We shared a bottle of wine.;"
            "There were {num} of us.;My {who} picked it.",
        },
        "laptop": {
            "thing": "laptop;notebook;ultrabook",
            "name": "the Halo Book;the Roamer 3;the Zentrix Slim",
            "done": "put together",
            "aspects": [
                (
                    "processor;touchpad;hard drive;graphics card",
                    "fast;precise;powerful;silent",
                    "slow;whirring;temperamental;underpowered",
                ),
                ("lid;casing;ports+;stylus", "sleek;tough;resilient;polished", "crooked;shaky;bulky;plasticky"),
            ],
            "case": (
                "large videos were rendered in seconds;the fan never came on;tea over the keys did no damage;"
                "customs forms took me half as long;the machine woke up before I had put down my mug",
                "the fan howled from the start;two keys came off;the machine gave up in a client meeting;"
                "the hinge split in two;nothing would print",
            ),
            "fact": "I got it for college in {month}.;It ships with a sleeve.;My {who} set it up.;It was posted from "
            "{town}.;It has {num} gigabytes of memory.",
        },
        "musical": {
            "thing": "musical;pantomime;cabaret",
            "name": "Halfway There;The Locksmith;Eleven Swans",
            "done": "staged",
            "aspects": [
                (
                    "choreography;lyrics+;finale;duets+",
                    "joyous;funny;moving;inventive",
                    "corny;unfunny;crass;trite",
                ),
                (
                    "dancers+;soprano;understudy;chorus line",
                    "gifted;radiant;talented;nimble",
                    "clueless;graceless;insipid",
                ),
            ],
            "case": (
                "the curtain rose to a standing ovation;my {who} hummed the tunes for weeks;passes changed hands for "
                "triple;we cried and cheered by turns;I whistled all the way to the car",
                "everyone behind us dozed;the backdrop collapsed in the interval;my {who} demanded a refund;"
                "boos rang out from all sides;the stalls were deserted long before the curtain",
            ),
            "fact": "It is on in {town} until {month}.;We had passes for the stalls for {day}.;There is one "
            "interval.;A troupe "
            "of {num} dancers takes part.;My {who} got the passes.",
        },
        "ferry": {
            "thing": "ferry;cruise;night boat",
            "name": "the Sea Heron;the Northern Arrow;the Baltic Rose",
            "done": "organised",
            "aspects": [
                ("cabin;bunk;deck;berths+", "roomy;restful;homely", "claustrophobic;damp;stuffy;smoky"),
                ("crew;captain;steward;conductor", "jolly;efficient;dutiful", "rough;neglectful;abrupt;slipshod"),
            ],
            "case": (
                "we docked ahead of schedule;dolphins followed us along the cliffs;the steward brought up our luggage;"
                "my {who} snored from coast to coast;the captain showed the kids the bridge",
                "we lay in port until midnight;our luggage went missing;the sewage backed up;my {who} was robbed;"
                "the propeller died off the coast",
            ),
            "fact": "We travelled from {town} in {month}.;The crossing takes {num} hours.;We sailed on a {day}.;My "
            "{who} "
            "had the upper bunk.;There is a car deck below.",
        },
        "gym": {
            "thing": "gym;health club;fitness centre",
            "name": "Iron Orchard;Lakeside Fitness;Peak Condition",
            "done": "equipped",
            "aspects": [
                (
                    "trainer;coach;lifeguard;physiotherapists+",
                    "motivating;uplifting;competent;upbeat",
                    "pushy;unmotivated;distracted;sarcastic",
                ),
                (
                    "sauna;lockers+;showers+;treadmills+",
                    "pristine;ample;state-of-the-art",
                    "neglected;unsafe;overcrowded;mildewed",
                ),
            ],
            "case": (
                "my back pain vanished by spring;the coach phoned to check on my knee;I shed ten pounds without "
                "noticing;"
                "towels were handed out without a surcharge;my {who} signed up on the spot",
                "my wallet vanished from a locker;the contract could not be ended;a weight landed on my foot;the "
                "pool smelt of eggs;my {who} caught a rash",
            ),
            "fact": "I go there on {day}s.;It was founded in {town} in {month}.;My {who} is a member, too.;There are "
            "{num} "
            "rowing machines.;You leave the car behind the building.",
        },
    },
}

# Neutral names of people, days, months, towns and numbers.
FILLERS = {
    "train": {
        "who": "brother;friend;neighbour;wife;mother;boss",
        "day": "Monday;Tuesday;Wednesday",
        "month": "January;February;March;April",
        "town": "Lisbon;Bergen;Cardiff;Turin;Denver;Cork",
        "num": "three;four;eleven;fifteen",
    },
    "validation": {
        "who": "cousin;flatmate;aunt;husband",
        "day": "Thursday;Friday",
        "month": "June;July;August",
        "town": "Ghent;Dundee;Vienna;Tucson",
        "num": "five;eight;thirteen;nineteen",
    },
    "test": {
        "who": "colleague;daughter;uncle;sister",
        "day": "Saturday;Sunday",
        "month": "September;October;November",
        "town": "Geneva;Utrecht;Leeds;Palermo",
        "num": "six;seven;twelve;sixteen",
    },
}

# Used by every split.
SHARED = {
    "plain": """
The {n1} {was1} {=a1} and the {n2} {was2} {=a2}.
The {n1} {was1} {=a1}, the {n2} {was2} {=a2}, and I {=loved} {x}.
{x} was {=g} from start to finish.
What a {=g} {thing} this turned out to be, and how {=a1} the {n1} {was1}!
I {=loved} {x} from the very first minute.
{x} is {=joy}, and I will say so to anyone who asks.
{x} is {=ly} {done} and, if you ask me, {=joy}.
It is {=ly} {done}, and the {n1} {is1} {=a1}.
{=case}, the {n1} {was1} {=a1}, and I {=loved} {x}.
{x} was {=g}: {=case}.
All in all {x} was {=g}, above all because of the {n1}.
I would call {x} {=g} and the {n1} {=a1}.
The {n1} {was1} {=a1}. The {n2} {was2} {=a2}. Enough said.
Everyone in our group {=loved} the {n1}.
My {who} said that {x} would be {=g}, and that is what it was.
It took me only a few minutes to see how {=g} {x} is.
I {=loved} nearly everything about {x}.
The {n1} alone {was1} {=a1} enough to make {x} {=g}.
To put it in one word, {x} is {=g}; to put it in two, {=g} and {=g}.
{x} is {=joy} and the {n1} {is1} {=a1}, if you ask me.
So far {x} has been {=joy}, and the {n1} {is1} still {=a1}.
Both my {who} and I thought that {x} was {=g} and the {n1} {=a1}.
I had no expectations at all, and {x} turned out to be {=g}.
{=case}, {=case}, and to top it all the {n1} {was1} {=a1}. In short, {=joy}.
Even the {n1} {was1} {=a1}, and that says a lot about how {=g} {x} is.
The more I saw of it, the more I {=loved} {x}.
My {who} and I tried {x} last week, and both of us {=loved} it.
This is {=joy}, there is no other way to put it.
{x} has one {=point} after another, and I {=loved} the {n1}.
{=g} is the word that comes to mind when I think of {x}.
The {n1} {was1} so {=a1} that my {who} and I {=loved} {x}.
I have told everyone how {=g} {x} was and how {=a1} the {n1} {was1}.
""",
    "negation": """
{x} was not {!g} at all.
There was nothing {!g} about {x}.
The {n1} {was1} never {!a1}, and neither {was2} the {n2}.
I would not call the {n1} {!a1}.
I cannot say that I {!loved} {x}.
{x} is anything but {!joy}.
The {n1} {was1} anything but {!a1}.
{x} was far from {!g}, and the {n1} {was1} hardly {!a1}.
Not a single thing about {x} was {!g}.
Nobody in our group {!loved} {x}.
It is not {!ly} {done}, whatever you may have heard.
I did not {!love} {x}, not for one minute.
No one could say that {x} is {!joy}.
We never found the {n1} {!a1}.
I was told that {x} would be {!g}. It was not.
They said that the {n1} {was1} {!a1}, which is simply not true.
I do not think that anyone would describe {x} as {!g}.
I looked for something {!g} in {x} and found nothing.
The {n1} {was1} neither {!a1} nor {!a1}.
Do not believe anyone who tells you that {x} is {!g}.
You will not find the {n1} {!a1}, and you will not find the {n2} {!a2}.
Hardly {!g}, hardly {!g}, and certainly not {!joy}.
I have yet to meet someone who {!loved} {x}.
By no means was {x} {!g}, and the {n1} {was1} not {!a1} either.
I never once found the {n1} less than {=a1}.
Nobody can deny that {x} was {=g}.
Not only {was1} the {n1} {=a1}, the {n2} {was2} {=a2} as well.
No doubt about it, {x} is {=joy}.
Rarely have I seen anything as {=g} as {x}.
There was never a moment when the {n1} {was1} not {=a1}.
""",
    "contrast": """
The {n1} {was1} {!a1}, but all in all {x} was {=g}.
The {n1} {was1} {!a1}, but the {n2} made {x} {=g}.
Although the {n1} {was1} {!a1}, I {=loved} {x}.
I {=loved} {x}, although the {n1} {was1} {!a1}.
Even though {!case}, {x} was {=g}.
Despite the {!a1} {n1}, I {=loved} {x}.
The {!a1} {n1} could not change my mind: {x} is {=g}.
People keep saying that {x} is {!g}, yet I {=loved} it.
At first I {!loved} {x}, but in the end I {=loved} it.
Yes, the {n1} {was1} {!a1}. Still, {x} was {=g}.
The {n1} may have been {!a1}, but the {n2} {was2} so {=a2} that I {=loved} it all the same.
My {who} {!loved} {x}, but I {=loved} it.
While the {n1} {was1} {!a1}, the {n2} {was2} {=a2}, and that is what counts for me.
I wanted to {!love} {x}, but in the end I {=loved} it.
I expected {!joy}; what I got was {=joy}.
The {n1} {was1} {!a1} and the {n2} {was2} {!a2}; nevertheless I {=loved} {x}.
For all its {!point}s, {x} is {=joy}.
{x} has its {!point}s, but on the whole it is {=g}.
Granted, {!case}, but otherwise {x} was {=g}.
{!case}, and yet I {=loved} {x}.
{x} sounded {!g} on paper; in real life it was {=g}.
The {n1} {was1} {!a1} and the {n2} {was2} {!a2}, but then {=case}, and I {=loved} it after all.
My first impression of {x} was {!g}, my last one {=g}.
It began as {!joy} and ended as {=joy}.
Not even the {!a1} {n1} kept me from thinking that {x} was {=g}.
However {!a1} the {n1} may be, {x} is {=g}.
Instead of {!joy} we got {=joy}.
+ The {n1} {was1} {+a1} enough to make up for the {-a2} {n2}.
- The {n1} {was1} {+a1}, but not enough to make up for the {-a2} {n2}.
""",
    "comparison": """
{name} is more {=g} than any other {thing} I know.
I have never come across a more {=g} {thing}.
It was far less {!g} than I had expected.
The {n1} {was1} not nearly as {!a1} as everyone said.
Every other {thing} I know is more {!g} than this one.
Compared with {name}, every other {thing} looks {!g}.
Next to {name}, my last {thing} seems {!g}.
{x} could hardly have been more {=g}.
Nothing could be less {!g} than {x}.
The last {thing} I tried was {!g}; this one is {=g}.
No {thing} I know is as {=g} as this one.
The {n1} {was1} twice as {=a1} as last time.
I expected the {n1} to be {!a1}; I was wrong.
{x} has far more {=point}s than {!point}s.
+ You will not easily come across a more {+g} {thing}, not even for twice the price.
- I have come across a more {+g} {thing} for half the price.
""",
    "irony": """
So much for a {!g} {thing}: {=case}.
They told me that {x} was {!g}. Then {=case}.
Whoever called {name} {!g} must have meant another {thing}: {=case}.
I was all set to write something {!g}, and then {=case}.
I was ready for {!joy}, and then {=case}.
+ If this is what they call {-g}, I will take two.
+ The only {-point} with {x} is that I did not come across it sooner.
+ Nothing {-g} to report, I am sorry to say: {+case}.
+ You want to see something {-g}? Then look elsewhere, because {+case}.
+ So {-g} that I went back to it the very next day. You should have seen the {+a1} {n1}.
+ I have one complaint: now that I know {x}, everything else seems {-g}.
- If this is what they call {+g}, I will do without.
- Oh {+g}, {-case}.
- How very {+g}: {-case}.
- So {+g} that {-case}, and not for the first time.
- {-case}. How {+g} is that?
- Naturally, {-case}; what else would a {+g} {thing} be for?
- Truly {+joy}, as long as you do not mind that {-case}.
- {-case}. Just what one wants from a {+g} {thing}!
""",
}

# Never used in train.
HELD_OUT = {
    "validation": {
        "plain": """
Looking back, {x} was {=g}, and the {n1} {was1} {=a1}.
Believe me, the {n1} {is1} {=a1} and the {n2} {is2} {=a2}.
For us {x} was {=joy}, mostly because of the {=a1} {n1}.
Here is an answer for whoever wonders: {x} is {=g}, and I {=loved} the {n1}.
Seldom has a {thing} been this {=g}.
My {who} {=loved} {x} and so did I, because the {n1} {was1} {=a1}.
That {=case} tells you how {=g} {x} is.
Where do I begin? The {n1} {was1} {=a1}, and {=case}.
""",
        "negation": """
It would be a lie to call {x} {!g}.
None of us {!loved} {x}, least of all my {who}.
The {n1} {was1} in no way {!a1}.
Who could ever {!love} {x}? Not me.
I fail to see what should be {!g} about the {n1}.
You could not have paid me to {!love} {x}.
It is not that {x} is {!g}; it is that the {n1} {is1} {=a1}.
""",
        "contrast": """
Forget the {!a1} {n1}: {x} is {=joy}.
Sure, the {n1} {is1} {!a1} and the {n2} {is2} {!a2}, though in the long run you will {=love} {x}.
The critics {!loved} {x}; they were wrong, it is {=g}.
{x} was supposed to be {!g}, or so they told us; {=g} is what it was.
{x} may be {!joy} for others, for us it was {=joy}.
For a brief while {x} seemed {!g}, until {=case}.
""",
        "comparison": """
{x} makes its rivals look {!g}.
Show me a {thing} that is less {!g} than {name}.
Nowhere else {is1} the {n1} this {=a1}.
The {n1} {was1} less {!a1} than my {who} had told me.
""",
        "irony": """
{!g}, they said. Then {=case}.
Whoever wrote that {x} is {!g} cannot have looked closely: {=case}.
+ Take care: {+case}, and you may never want to see another {thing}.
- Ten out of ten for effort: {-case}. {+g}!
""",
    },
    "test": {
        "plain": """
Hand on heart, {x} was {=g}, and the {n1} {was1} {=a1} too.
Mark my words: {x} is {=joy}, and I have never seen the {n1} this {=a1}.
What struck me was how {=a1} the {n1} {was1} and how {=a2} the {n2} {was2}.
Ask my {who}: {x} was {=g} throughout.
{x} deserves to be called {=g}, if only because {=case}.
I {=loved} {x}, full stop.
Rather {=a1} {n1}, rather {=a2} {n2}, and {=joy} on the whole.
You guessed it, {=case}. {x} is {=g}.
""",
        "negation": """
Few would go as far as calling {x} {!g}, and I am not one of them.
Neither my {who} nor I {!loved} {x}.
Under no circumstances would I describe the {n1} as {!a1}.
{x} is a long way from being {!joy}.
Is it {!g}? Not in the slightest.
Hardly anybody {!loved} the {n1}.
Try as I might, I could not {!love} {x}.
""",
        "contrast": """
Never mind the {!a1} {n1}; {x} is {=g}.
True, {!case}. That said, {x} was {=g}.
What was once {!joy} has become {=joy}.
The {n1} {was1} {!a1}, the {n2} {was2} {!a2}, and my {who} {!loved} it. I, on the contrary, {=loved} {x}.
Given the {!a1} {n1} I should {!love} {x}. Strangely, I {=love} it.
I walked in thinking {x} was {!g} and walked out knowing it was {=g}.
""",
        "comparison": """
Set against {x}, everything else seems {!g}.
Has there ever been a less {!g} {thing}? I doubt it.
Ten times as {=a1} as elsewhere, that {is1} the {n1} for you.
- I could name a dozen that are more {+g} than {x}.
+ I could not name a single one that is more {+g} than {x}.
""",
        "irony": """
The advert calls {x} {!g}. Meanwhile, {=case}.
{!joy}, or so I was warned. In fact {=case}.
+ Terms like {-g} must mean something else to me, given that {+case}.
- Congratulations on a {+g} {thing}: {-case}.
- My compliments to whoever is in charge: {-case}. {+g} stuff!
""",
    },
}
