"""The material of the sample NER corpus: names, disjoint by split, and sentence templates. Pure data.

Names are separated by semicolons. A name may hold slots of its own, which are filled but not labelled again, so that
"University of {city}" is one ORG; a lower-case "the" before a name is written and stays outside the entity. Templates
stand one to a line, already split into words; a slot of a kind that `TYPES` knows becomes an entity, every other slot
is filled with ordinary words from `WORDS`.
"""

TYPES = {
    "PER": ("per", "full", "first", "last"),
    "LOC": ("city", "country", "region", "lake", "place"),
    "ORG": ("company", "bank", "univ", "team", "nickname", "agency"),
    "MISC": ("nat", "lang", "event", "feast", "era", "work", "journal", "product"),
}

# The same in every split: how names are put together. A kind listed twice is drawn twice as often.
PATTERNS = {
    "per": "{first} {last};{first} {last};{first} {last};{first};{last}",
    "full": "{first} {last};{first} {last};{first} {last};{first} {last};{initial} {last}",
    "initial": "A.;B.;C.;D.;E.;H.;J.;K.;L.;M.;P.;R.;S.;T.",
    "company": "{firm};{firm} {line};{firm} {line};{firm} {form};{firm} & {last};{last} & Sons",
    "line": "Foods;Energy;Airways;Pharma;Motors;Labs;Books;Media;Shipping;Textiles;Dairy;Insurance",
    "form": "Group;Holdings;Ltd;Inc.;Partners",
    "bank": "the Bank of {country};{firm} Bank;{city} Savings Bank;{firm} Capital",
    "univ": "the University of {city};{city} University;the {city} Institute of Technology;{last} College;"
    "the {city} School of Medicine",
    "team": "{city};{city} United;{city} Rovers;{city} {mascot};{city} {mascot}",
    "nickname": "the {mascot}",
    "agency": "{office};{office};{city} City Council;{city} General Hospital;the {city} Chamber of Commerce",
    "place": "{road} {way};{road} {way};{road} {way};{last} {way}",
    "event": "{games};{games};the {city} Marathon;the {city} Film Festival;the {country} Open;the {country} Grand Prix",
}

NAMES = {
    "train": {
        "first": "Amara;Bram;Celeste;Dario;Elif;Farah;Goran;Hana;Ines;Joon;Katya;Leif;Mirela;Nuno;Oksana;Pradeep;"
        "Quentin;Rania;Søren;Tamsin;Ulla;Viktor;Wen;Ximena;Yusuf;Zofia;Abebe;Birgit;Chidi;Dalia;Emre;Freya;Gideon;"
        "Isla;Jorge;Kofi;Lucía;Magnus;Nadia;Owen;Priya;Rafael;Sunita;Teodor;Uche;Veronica;Yara;Zane;April;June;Rose;"
        "Bill;Frank;Hope;Grant;Jordan;Summer;Basil;Olive;Art;Ray;Dawn",
        "last": "Achterberg;Brannigan;Castellanos;Dvorak;Eriksen;Fontaine;Gunawardena;Holloway;Ivanova;Jankowski;"
        "Lindqvist;Mbatha;Nakamura;Okonkwo;Petrov;Quiroga;Rasmussen;Szabo;Tanaka;Ueda;Vasquez;Whitlock;Xu;Yilmaz;"
        "Zielinski;Adeyemi;Bhattacharya;Cho;Desrosiers;Engel;Farouk;Ghosh;Haddad;Ito;Juárez;Kowalczyk;Larsson;Moreau;"
        "Nwosu;Oliveira;Rao;Sandoval;Thorne;van den Berg;de la Cruz;Müller;Hartley;Sinclair;Cook;Banks;Reed;Stone;"
        "Young;Price;Marsh;Page",
        "city": "Lisbon;Oslo;Nairobi;Lima;Kyoto;Prague;Toronto;Marseille;Krakow;Hanoi;Accra;Valencia;Bergen;Tbilisi;"
        "Porto;Cardiff;Denver;Montreal;Quito;Bogotá;Dakar;Chennai;Mumbai;Osaka;Busan;Perth;Adelaide;Wellington;"
        "Hamburg;Leipzig;Lyon;Turin;Naples;Zagreb;Helsinki;Tampere;Riga;Vilnius;Baltimore;Cleveland;Boston;San Diego;"
        "New Orleans;Salt Lake City;Port Harcourt;Cape Town;Buenos Aires;Kuala Lumpur;Bristol;Aberdeen;Nice;Bath;Cork;"
        "Split;Buffalo;Florence;Battle;Ellsworth;Tarnby;Oakhurst;Little Marden",
        "country": "Portugal;Norway;Kenya;Peru;Japan;Canada;Poland;Vietnam;Ghana;Spain;Ecuador;Senegal;India;"
        "South Korea;New Zealand;Finland;Latvia;Nigeria;South Africa;Argentina;Malaysia;France;Italy;Croatia;Egypt;"
        "Morocco;Iceland;Ukraine;Sri Lanka;Costa Rica;Jordan;China;Turkey;Chad",
        "region": "the Danube;the Andes;the Alps;the Mekong;the Ganges;the Baltic Sea;the Sahara;the Pyrenees;"
        "the Thames;the Rocky Mountains;the Faroe Islands;the Black Forest;the Bay of Biscay;the Isle of Skye;"
        "the Great Barrier Reef;the Midlands;the Camargue;the Punjab",
        "lake": "Lake Victoria;Mount Kenya;Lake Superior;Loch Ness;Cape Horn;Bavaria;Tuscany;Ontario;Texas;Andalusia;"
        "Kerala;Patagonia;Brittany",
        "road": "Alder;Bramley;Mill;King;Station;Market;Copper;Linden;Quarry;Bishop;Orchard;Ferry",
        "way": "Street;Road;Hill;Row;Square",
        "firm": "Norvik;Halden;Quantra;Bluefin;Tessera;Marlowe;Kestrel;Orbis;Sandpiper;Lumen;Verity;Castlemere;"
        "Ironbridge;Novara;Trident;Wexler;Zephyr;Ardent;Brightwater;Corvus;Dunmore;Emberline;Foxglove;Greyfield;"
        "Hexagon;Juniper;Larkspur;Meridian;Northgate;Opaline;Pellworth;Quarrybank;Redfern;Silverline;Tolland;Umbria;"
        "Vertex;Westmark;Yellowtail;Arrow;Beacon;Crown;Target;Gap;Shell;Visa;Subway;Staples;Monday",
        "office": "the World Health Organization;UNESCO;NASA;the Red Cross;the Ministry of Health;"
        "the Ministry of Transport;the Department of Education;the Forestry Commission;the National Audit Office;"
        "the World Bank;the Supreme Court;the House of Commons;the Central Election Board;"
        "the Institute for Rural Studies;FIFA;the BBC;the Oceans Trust;Labour",
        "mascot": "Hawks;Lions;Comets;Rangers;Otters;Giants",
        "nat": "Portuguese;Norwegian;Kenyan;Peruvian;Japanese;Canadian;Polish;Vietnamese;Ghanaian;Spanish;Indian;"
        "Korean;Finnish;Nigerian;Argentine;French;Italian;Croatian;Egyptian;Moroccan;Icelandic;Ukrainian;Turkish;"
        "Chinese;Welsh",
        "lang": "Portuguese;Norwegian;Japanese;Polish;Vietnamese;Spanish;Korean;Finnish;French;Italian;Icelandic;"
        "Turkish;Swahili;Tamil;Hindi;Yoruba;Catalan;Latin",
        "games": "the World Cup;the Olympic Games;the Spring Classic;the Tour of the Valleys;the Robotics Challenge;"
        "the Night of the Lanterns;Roots Weekend;Open Studios",
        "feast": "Easter;Diwali;Ramadan;Lunar New Year;Roots Weekend;Open Studios;Passover;Hallowe'en",
        "era": "the Cold War;the Industrial Revolution;the Iron Age;the Gold Rush",
        "work": "The {tone} {object};The {tone} {object};{object}s of the {where};{tone} {object}s;"
        "Songs for a Slow River;Winter Letters;A Map of Small Hours;Night Bus to Nowhere;What the Tide Kept;"
        "The Beekeeper 's Almanac;Salt;Ashes;Seven Doors;Letters from the Attic;Homecoming;The Clockmaker;Gravity;"
        "Hamlet;Don Quixote;Genesis;How to Leave a Village;Before the Snow;No Room for Crows;Where Rain Goes",
        "tone": "Glass;Copper;Last;Paper;Long;Blue;Silent;Crooked;Burning;Hollow;Second;Velvet;Forgotten",
        "object": "Harbour;Moon;Ferry;Kitchen;Mirror;Garden;Witness;Piano;Stranger;Lighthouse;Engine;Daughter",
        "where": "North;Plain;Marshes;Deep;Suburbs;Old Quarter",
        "journal": "the Daily Courier;the Evening Ledger;the Journal of Soil Physics;Plant Letters;the Norfolk Mail;"
        "Cooking Today;Folk & Field;the Annual Report on Bees",
        "product": "{make} {model};{make} {model};{make} {model};{make};PixelBox;TurboMop;Windows;Photoshop;Kindle;"
        "Python;Word;Linux;GlowPen;Cobalt SUV;QuickSlice;Falcon 9;Cloudberry OS;BrewMate;Trailhawk Jeep;Fieldnote",
        "make": "Aerolite;Nimbus;Sonora;Vantro;Heliox;Duramix;Pinnacle;Swan;Rapid;Zoomer;Compass;Iris;Dash;Bolt",
        "model": "300;X2;5;12;Mini;Plus;Max;Air;S;700",
    },
    "validation": {
        "first": "Anneke;Bashir;Carmela;Davide;Esther;Fatou;Gregor;Hiroko;Ilse;Jamal;Kirsten;Lorenzo;Meera;Niamh;Olav;"
        "Paola;Ravi;Sinéad;Tariq;Vesna;Wanda;Yohannes;Mark;Drew;Grace;Chase;Georgia;Pat;Joy;Rich",
        "last": "Abernathy;Boateng;Carvalho;Duarte;Ekström;Fitzgerald;Grigoryan;Hosseini;Iwasaki;Jovanovic;Kruger;"
        "Lombardi;Mukherjee;Novak;Osei;Pereira;Reddy;Schroeder;Takahashi;Varga;van der Meer;Zhou;Stern;Mills;Sharp;"
        "Ford;Chase;Power",
        "city": "Vienna;Ghent;Malmö;Sapporo;Kampala;Cusco;Antwerp;Bratislava;Rotterdam;Izmir;Jakarta;Santiago;Havana;"
        "Tucson;Seattle;Ottawa;Bremen;Genoa;Belfast;Dundee;St. Louis;Rio de Janeiro;Addis Ababa;Mobile;Hull;Rugby;"
        "Wells;Barcelona;Milan;Dublin;Harrowgate",
        "country": "Austria;Belgium;Sweden;Uganda;Slovakia;Indonesia;Chile;Cuba;Ethiopia;Georgia;Tunisia;Paraguay;"
        "Estonia;Saudi Arabia;Hungary;Guinea",
        "region": "the Amazon;the Rhine;the Carpathians;the Adriatic Sea;the Gobi Desert;the Isle of Man;the Hebrides;"
        "the Snake River;the Balkans;the Gulf of Trieste;the Channel Islands",
        "lake": "Mount Elgon;Lake Baikal;Galicia;Tasmania;Saxony;Alberta;Flanders;Oaxaca;Loch Lomond",
        "road": "Chestnut;Abbey;Granary;Tanner;Willow;Castle;Tower",
        "way": "Road;Terrace;Gardens;Square",
        "firm": "Velloria;Ostrander;Kitewood;Solvane;Pemberly;Rusthall;Mistral;Aldgate;Cinderhall;Ravelin;Tarnwell;"
        "Yarrow;Amazon;Oracle;Dove;Puma;Sprint",
        "office": "the OECD;UNICEF;the Ministry of Finance;the Department of Energy;the Food Standards Agency;"
        "the Royal Society;the Senate;the Environment Agency;the International Monetary Fund;the IMF;"
        "the Harbour Authority;Save the Meadows",
        "mascot": "Ravens;Wolves;Pirates;Saints",
        "nat": "Austrian;Belgian;Swedish;Ugandan;Slovak;Indonesian;Chilean;Cuban;Georgian;Ethiopian;Hungarian;Irish;"
        "Tunisian",
        "lang": "Swedish;Slovak;Hungarian;Irish;Amharic;Georgian;Malay;Quechua;Arabic",
        "games": "the Winter Olympics;the Super Bowl;the Harvest Fair;the Festival of Small Boats;"
        "the Six Bridges Relay",
        "feast": "Christmas;Eid;Black Friday;Epiphany;Small Boats Week",
        "era": "the Enlightenment;the Bronze Age;the Great Depression",
        "work": "The {tone} {object};The {tone} {object};{object}s of the Valley;{tone} {object}s;"
        "The Orchard Keeper 's Son;Thirteen Winters;Tin Soldiers;A Door in the Hedge;Low Water;The Cartographer;"
        "Notes from a Quiet Street;Ember;Macbeth;Vertigo",
        "tone": "Distant;Iron;Lonely;Scarlet;Wooden",
        "object": "Traveller;Clock;Bell;Island;Sister",
        "journal": "the Morning Post;the Annals of Marine Biology;River Science;the Tuesday Gazette",
        "product": "Cortado Pro;Excel;Rust;Stormlight 7;PocketScan;Kayano Van;Galaxy;Android;Swiftline;Lumo Lamp;Unity",
    },
    "test": {
        "first": "Agnieszka;Benedikt;Chiara;Dmitri;Eleni;Folake;Gustavo;Henrike;Imran;Jelena;Kwame;Liesel;Marisol;"
        "Naveen;Ottilie;Piotr;Rosalind;Shirin;Tomás;Vikram;Yelena;Zainab;Will;Hunter;Faith;Heather;Ivy;Penny;May;"
        "Lincoln",
        "last": "Arslan;Blackwood;Cisneros;Diallo;Esposito;Fujimoto;Gallagher;Hernandez;Ibrahim;Halvorsen;Karlsen;"
        "Lefevre;Mahmoud;Ndiaye;O'Rourke;Papadakis;Richter;Sokolov;Teixeira;Umarov;dos Santos;Yamaguchi;Washington;"
        "Carpenter;Shepherd;Frost;Church;Rivers",
        "city": "Geneva;Utrecht;Gothenburg;Nagoya;Mombasa;Arequipa;Brno;Ankara;Manila;Medellín;Portland;Chicago;"
        "Calgary;Dresden;Palermo;Glasgow;Leeds;Lagos;Bilbao;Tallinn;Hong Kong;San Antonio;Chiang Mai;Reading;"
        "Washington;Deal;Lincoln;Phoenix;Amsterdam;Singapore;Vancouver;Warsaw;Munich;Stratton",
        "country": "Switzerland;Germany;Tanzania;Bolivia;Slovenia;Colombia;Mexico;Greece;Scotland;Cyprus;Mongolia;"
        "Ivory Coast;Sierra Leone;Denmark;Brazil;Angola",
        "region": "the Nile;the Dolomites;the Red Sea;the Kalahari;the Orange River;the Isle of Wight;"
        "the Bay of Bengal;the Seine;the Everglades;the Philippines;the Netherlands",
        "lake": "Lake Titicaca;Mount Etna;Shetland;Provence;Quebec;Saskatchewan;Transylvania;Bali;Loch Awe",
        "road": "Chapel;Harbour;Elm;Tunnel;Victory;Brewer;Meadow",
        "way": "Lane;Avenue;Street;Crescent",
        "firm": "Caldera;Fennimore;Skarsen;Wolvane;Thornbury;Zentrix;Haverhill;Lindenau;Brightside;Ostrava Glass;"
        "Tidewell;Quillon;Ambrosia;Grandline;Noordzee;Pellucid;Sunforge;Apple;Orange;Caterpillar;Boots;Mars",
        "office": "NATO;Interpol;the Ministry of Justice;the Department of Agriculture;the Met Office;Greenpeace;"
        "the Office for National Statistics;the World Food Programme;Congress;the Space Agency;the Home Office;"
        "the Rail Passengers ' Union",
        "mascot": "Bears;Dragons;Sharks;Badgers",
        "nat": "Swiss;Dutch;German;Tanzanian;Bolivian;Slovenian;Filipino;Colombian;Mexican;Greek;Scottish;Mongolian;"
        "Danish;Brazilian",
        "lang": "Dutch;German;Greek;Danish;Tagalog;Gaelic;Mongolian;Basque;Hebrew",
        "games": "Wimbledon;the Clash of the Bands;the Great Northern Regatta;the Paralympics;the Science Slam",
        "feast": "Hanukkah;Thanksgiving;Mother 's Day;Poetry Days;Midsummer",
        "era": "the Renaissance;World War II;the Ice Age",
        "work": "The {tone} {object};The {tone} {object};{object}s of the Plateau;{tone} {object}s;The Amber Road;"
        "Eleven Swans;Under the Viaduct;Postcards to Nobody;Halfway Home;The Locksmith;Driftwood;"
        "Once More with Thunder;Othello;Inferno",
        "tone": "Frozen;Broken;Yellow;Patient;Hidden",
        "object": "Sailor;Cathedral;Doorway;Feast;Violin",
        "journal": "the Weekly Observer;the Annual Review of Glaciers;Physics Notes;the Coastal Times",
        "product": "Chrome;Java;Surface;Echo;Tern 250;CleverKettle;Marlin Pickup;Blender;Vespa;Roamer 3;Halo Band",
    },
}

# Fillers without a label, the same in every split. Many of them are a name somewhere else.
WORDS = {
    "day": "Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday",
    "month": "January;February;March;April;May;June;July;August;September;October;November;December",
    "num": "two;three;four;six;nine;12;15;20;34;48;70;85;120;300;several;a dozen",
    "year": "1958;1974;1986;1991;2003;2008;2012;2016;2019;2021",
    "money": "$ 40 million;€ 2.5 billion;£ 900,000;$ 12;$ 3 million;£ 75;€ 310 million",
    "time": "last night;this morning;on Friday;two weeks ago;in March;yesterday;at noon;over the weekend;in May",
    "food": "lentil soup;roast turkey;apple pie;rice and beans;orange cake;fish stew;dumplings;cheese sandwiches;"
    "pumpkin bread;fried noodles;baked apples;pickled herring",
    "dish": "lentil soup;turkey pie;apple tart;orange cake;fish stew;pumpkin bread;plum jam",
    "fruit": "apples;oranges;dates;plums;cherries;figs;lemons;pears",
    "thing": "laptop;bike;radiator;camera;printer;boiler;phone;guitar;tent;dishwasher;keyboard;van",
    "adj": "quiet;strange;difficult;wonderful;long;busy;cheap;narrow;late;bright;rough;friendly",
    "job": "nurse;painter;plumber;teacher;goalkeeper;chemist;translator;baker;shepherd;carpenter;driver;judge",
    "kin": "sister;brother;grandmother;neighbour;uncle;cousin;boss;landlord;daughter;aunt",
    "score": "2-1;3-0;1-1;4-2;88-79;21-17;0-0",
    "topic": "sleep;soil;migraine;rainfall;bees;traffic;batteries;glaciers;memory;river trout",
    "hours": "two;three;four;six;nine;a dozen;twenty",
    "verb": "fix;sell;paint;move;clean;check;replace;borrow",
}

# Used by every split.
SHARED = {
    "news": """
{full} , the mayor of {city} , said the bridge would stay closed until {month} .
The {nat} government has asked {agency} to send doctors to {country} .
{company} cut {num} jobs at its plant near {city} {time} .
Heavy rain flooded parts of {city} , and trains to {city} were cancelled .
A spokesman for {agency} declined to comment on the letter .
Police in {city} are looking for a man who left a suitcase outside {univ} .
Voters in {country} go to the polls on {day} , with {last} narrowly ahead of {last} .
{country} and {country} signed an agreement on fishing in {region} .
" We had no warning , " said {full} , a {job} who lives near {place} .
From {month} on , {company} will pay its drivers in {city} {money} more .
{agency} said the vaccine would reach {country} by {month} .
Farmers from {lake} to {region} have lost {num} percent of their harvest .
In {city} , where {company} has its headquarters , the news was met with silence .
President {last} will meet the {nat} foreign minister in {city} .
Nobody at {agency} would say who had sent flowers to {last} 's office .
A fire on {place} destroyed {num} shops {time} .
{full} , {full} and {full} were named to the board of {agency} .
The {nat} press called it the quietest election since {year} .
Ferries between {city} and {city} will not run before {day} .
Protesters gathered outside {agency} in {city} and stayed until midnight .
The {nat} - {nat} trade talks ended without a statement .
{last} lost the vote .
{agency} and {agency} blamed each other .
A letter in {journal} says that {country} knew .
Some {num} {nat} soldiers will leave {lake} by {month} .
{country} closed its border with {country} .
{full} died in {city} aged 91 .
The mayor thanked {agency} and {agency} .
A {nat} tourist was rescued from {region} .
{company} confirmed that it had moved the archive .
""",
    "headlines": """
{company} to close {city} factory
{nat} minister resigns after report on river pollution
{city} says no to new airport
{last} wins by {num} votes
{agency} warns of cold winter
storm heads for {region}
old mill on {place} sold to {company}
{full} named head of {univ}
price of bread rises again in {country}
{team} sack coach {last}
{last} out , {last} in
{company} joins {company} in bid for {bank}
{country} backs {country} over {lake}
""",
    "mail": """
Hi {first} , could you send me the slides for {company} before {day} ?
Dear Mr {last} , thank you for your letter about the house on {place} .
{first} , {first} and I will be in {city} from {day} .
Best wishes from {city} , {first}
Please forward this to {full} at {agency} and copy {first} .
I have asked Dr {last} whether the {lang} version can be ready by {month} .
The contract with {bank} still needs a signature from {last} .
Can we move the call with {company} to {day} ?
Mrs {last} phoned {time} and wants to know if the {thing} has arrived .
Sorry for the late reply , I was at {event} with my {kin} .
As agreed with {first} , the invoice goes to {company} , not to {bank} .
{first} told me that you speak {lang} , is that right ?
Reminder : tickets for {event} must be collected at {place} by {day} .
Thanks to {first} and {first} for covering my shift {time} .
Love to {first} , and happy {feast} !
Regards , {full}
Call {first} before {day} , please .
From : {full}
Is {company} paying for the {thing} ?
{first} from {bank} will join us .
""",
    "forum": """
does anyone know if {product} runs on an old {thing} ?
just got back from {city} and my {thing} is broken , thanks {company}
i learned {lang} in {hours} months with nothing but {work} and a notebook
tell {first} to stop using {product} for everything lol
is {city} worth a visit in {month} or should i go to {country} instead ?
my {kin} swears by {product} but i still prefer {product}
{team} played so badly {time} that i switched off
anyone else waiting for {work} to come out ? {first} says it is great
moved from {city} to {city} for a job at {company} and i regret nothing
how do you {verb} a {thing} made by {company} ?
been reading {work} again , still the best thing {last} ever wrote
{first} from {company} support was super helpful , the {thing} works now
the {nat} dub of {work} is terrible , watch it in {lang}
why is everything in {country} so much cheaper than in {country}
went to {event} with {first} , it rained the whole time
i think {last} is right about {product} , the update made it slower
{product} or {product} for a beginner ?
still waiting for {company} to call back
finally buying from {company} again
so i watched {work} and it was a waste of time
the battery of my {product} died {time}
anyone here from {city} ?
{first} was right about the ending of {work}
traded my {thing} for a {product} and then for a {product}
""",
    "sport": """
{team} beat {team} {score} in front of a small crowd .
{full} scored twice as {team} came from behind to win in {city} .
{team} have signed the {nat} goalkeeper {full} from {team} .
Coach {last} left {full} on the bench for the match against {team} .
{nickname} lost again , and {last} blamed the referee .
{full} of {country} won {event} by {num} seconds .
{country} will host {event} again , the organisers said {time} .
After {hours} games without a win , {team} travel to {city} .
The {nat} rider {last} crashed on the descent and lost {hours} minutes .
{last} , {last} and {last} are injured , so {team} will field a young side .
It was the first time that {country} had beaten {country} .
{team} - {team} {score}
At {event} , {full} finished ahead of the {nat} favourite .
{team} drew {score} with {nickname} .
For {nickname} it was a third defeat in {hours} weeks .
{last} saved a penalty .
{team} fired {full} {time} .
{last} was booked for a foul , {last} was not .
Only {nickname} can stop {team} now .
""",
    "travel": """
From {city} we took the night train to {city} and slept badly .
The road along {region} is {adj} , but the view of {lake} makes up for it .
Our guide , a retired {job} called {first} , spoke {lang} .
Do not leave {city} without walking down {place} at sunset .
{lake} is an hour from {city} by bus , and the fare is {money} .
The best time to see {region} is {month} .
We stayed {hours} nights in {city} and one on the shore of {lake} .
In {country} you can pay with anything , while in {country} only cash will do .
{city} , {city} and {city} all have markets where {nat} families sell {fruit} .
The hotel on {place} is owned by a {nat} couple .
I crossed {region} with {first} in {year} .
Buses to {lake} leave from {place} every {hours} hours .
We never reached {lake} .
{city} smells of {fruit} in {month} .
Nothing prepares you for {region} .
We hiked around {lake} and flew home from {city} .
""",
    "recipes": """
This {dish} comes from {lake} , where it is eaten at {feast} .
My {kin} {first} learned this from a {nat} {job} in {city} .
For a {nat} version , leave out the {fruit} and add a spoonful of vinegar .
{first} 's {dish} needs {hours} eggs , and no substitute from {company} will do .
In {city} they serve it with {food} , in {city} with nothing at all .
The {product} chops {fruit} in seconds , but a knife is easier to clean .
According to {last} , whose book {work} I cook from , the dough must rest .
A {nat} friend puts {fruit} in everything , even in {dish} .
Serve with {nat} bread .
{company} sells it in jars .
""",
    "science": """
Researchers at {univ} measured {topic} in {num} villages along {region} .
{full} of {univ} , who led the study , called the result surprising .
The samples from {lake} were sent to {univ} and to {agency} .
{last} and {last} found no link between {topic} and diet in {nat} adults .
The paper , published in {journal} , was read by {hours} reviewers .
{agency} paid for the telescope , and {univ} will run it .
Software written in {product} was used to sort {num} recordings of {topic} .
A team from {country} and {country} has mapped the floor of {region} .
During {era} , ships carried seeds from {country} to {city} .
{last} 's theory of {topic} was ignored until {year} .
Tools from {era} were found near {lake} by {full} .
{univ} disagreed with {last} .
The data came from {agency} and {company} .
The sums were done in {product} .
""",
    "finance": """
Shares in {company} rose {num} percent after {bank} raised its forecast .
{bank} lent {money} to {company} in {month} .
{company} will buy {company} for {money} , the two firms said {time} .
Analysts at {bank} expect {country} to cut interest rates .
{full} , chief executive of {company} , sold {num} shares {time} .
The {nat} currency fell against the dollar after {last} spoke .
{company} , {company} and {bank} all missed their targets .
Sales of the {product} lifted profit at {company} to {money} .
{company} 's plan to open a store in {city} has been delayed .
Investors from {country} own a third of {company} , {journal} reported .
{bank} fell by {num} points .
{company} raised {money} .
{bank} sold {company} to {company} .
Who owns the shares in {company} ?
""",
    "culture": """
{last} 's new novel , {work} , is set in {city} during {era} .
Her first film , " {work} " , was shot in {lang} with a {nat} crew .
{first} plays the {job} in {work} , which opens in {city} on {day} .
I have read {work} twice and still do not understand {last} .
The museum on {place} shows {num} paintings by {full} until {month} .
{work} won a prize at {event} in {year} .
The singer {full} , born in {city} , grew up speaking {lang} .
At {event} , {first} read from " {work} " .
Translated from the {lang} by {full} , {work} runs to {num} pages .
{journal} called {work} a {adj} mess .
{work} is a masterpiece .
She wrote {work} in {city} .
Everyone at {event} was humming {work} .
{first} fell asleep during {work} .
{last} hated {work} and said so in {journal} .
""",
    "talk": """
" Is {first} coming , or did {first} forget again ? " asked my {kin} .
{first} has worked for {company} since {year} .
You should meet {full} ; she used to teach at {univ} .
Every {month} , my {kin} drives to {lake} with {first} .
He bought a {product} with the money that {first} had lent him .
I left my {thing} at {agency} and had to ask {first} for a lift .
We celebrate {feast} at home , with {food} and far too many people .
They named the dog after {last} , who used to run the bakery on {place} .
She speaks {lang} , {lang} and a bit of {lang} .
{first} hates {city} and {first} hates {region} , so we went to {country} .
My {kin} banks with {bank} and will never change .
The {product} that {first} ordered from {company} came without a manual .
{first} is late .
Ask {first} again .
I miss {city} and the {nat} summer .
He quit {company} to join {agency} .
{first} married a {nat} {job} .
Nobody can repair a {product} , except {first} .
A lecture on {era} bores {first} .
""",
    "no names": """
The {thing} broke {time} and nobody knows how to {verb} it .
Please {verb} the {thing} before you leave the office on {day} .
It was a {adj} evening , and we ate {food} in the garden .
Add the {fruit} , stir for {hours} minutes and let the mixture cool .
They walked along the bank of the river until it was dark .
does anyone know how to {verb} a {thing} without the manual ?
The meeting on {day} was {adj} , but we agreed on a date in {month} .
My {kin} is a {job} and works {hours} nights a week .
The study found that {topic} has little to do with age .
Heat the oil , add salt and serve with {food} .
Prices rose by {num} percent in {month} , more than expected .
i will never buy a {adj} {thing} again
Thank you for your message , I will answer on {day} .
The match was stopped after {hours} minutes because of the rain .
Turn left at the church and follow the {adj} path up the hill .
Nobody had seen the {job} since {day} .
The bank refused the loan , so the {job} had to sell the {thing} .
Our university library closes early on {day} .
The {adj} film was based on a novel about {topic} .
The {thing} is {adj} .
Call me on {day} .
i want {food}
What a {adj} {job} !
""",
    "no names, but words that are names elsewhere": """
The bill was higher than we had hoped , and the grant had already been spent .
Be frank with me : is there any hope that prices will fall this summer ?
She rose at dawn to pick a rose for her {kin} .
The art class meets on {day} in {month} or June , at a fair price .
A herd of buffalo hid in the reed behind the stone wall .
My {kin} took a hot bath , opened a bottle with a cork and had {food} .
It would be nice to split the bill , said the young {job} .
We missed the target by {num} points , and the gap is growing .
You need a visa , {hours} photographs and a box of staples .
The python hid in a shell of dry leaves near the subway .
Polish the silver , then put the china back with the {thing} .
Cook the turkey for {hours} hours and turn the page for the sauce .
Rub the fish with basil and olive oil , then bake it for {hours} minutes .
The lions and the hawks in this zoo are fed by a {job} .
Monday was {adj} , and a ray of light fell through the windows on {day} .
every word on this page costs me {hours} minutes lol
The giants of old stories always lose the battle in the end .
""",
}

# Never seen in training.
HELD_OUT = {
    "validation": {
        "news": """
Officials in {country} confirmed {time} that {full} had been released .
Thousands marched through {city} to demand that {agency} publish the figures .
{last} could not recall having met anyone from {company} while serving as {nat} ambassador .
The earthquake was felt as far away as {city} and {region} .
According to {agency} , {num} families in {lake} are still without power .
{nat} farmers blocked the road to {city} with tractors on {day} .
""",
        "headlines": """
fog at {city} delays {company} flights
{team} fans thank {last}
second wolf seen in {lake}
""",
        "mail": """
{first} , I am attaching the {lang} brochure that {last} asked for .
Could someone at {company} tell me why the {thing} was sent to {place} ?
Greetings from {lake} , where {first} and I are hiding from {feast} .
Yours sincerely , {full} , {company}
""",
        "forum": """
ok so {company} just emailed me about my {product} and i have questions
{city} or {city} for a long weekend with a toddler ?
{first} if you are reading this , the {thing} is yours
the only good part of {work} is when the {job} shouts in {lang}
""",
        "sport": """
Nothing separated {team} and {team} until {last} struck in the final minute .
{full} , 23 , leaves {team} for {team} on a free transfer .
{nickname} have not lost at home since {last} took charge .
Rain delayed the second day of {event} in {city} .
""",
        "travel": """
We hired a boat on {region} from a {nat} student named {first} .
{country} is smaller than {lake} , yet it took us {hours} days to cross .
Breakfast at the guesthouse on {place} was {food} , as everywhere in {city} .
""",
        "recipes": """
{first} insists that real {dish} is never made outside {city} .
Any {nat} grocer will sell you the spice , and so will {company} .
""",
        "science": """
With money from {agency} , {last} built a sensor that counts {topic} at {lake} .
Two chemists at {univ} repeated the test in {product} and got a different answer .
The fossils came from {region} and are now kept at {univ} .
""",
        "finance": """
{bank} has agreed to sell its {nat} branches to {company} .
Losses at {company} doubled to {money} , mainly because of the {product} .
{full} will replace {full} as head of {bank} in {month} .
""",
        "culture": """
Few people remember that {full} wrote {work} in {lang} .
{work} , a play about a {job} from {city} , was shown {time} .
The {nat} painter {last} gave {num} drawings to {univ} .
""",
        "talk": """
If {first} calls , say that I have gone to {city} with {first} .
His {kin} was born in {country} but always felt {nat} .
We met at {event} , got lost near {place} and have been friends since .
" {last} owes me {money} , " {first} said , " and so does {company} . "
""",
        "no names": """
Keep the receipt , because the shop does not {verb} anything after {num} days .
What a {adj} way to spend a {day} !
The {job} asked for {food} and got {food} instead .
""",
        "no names, but words that are names elsewhere": """
Mark the page , then sign your name in ink with grace and joy .
The hull and the stern of the boat hit the wall with some power .
Rich people chase the moon , my {kin} used to say .
My mobile rang {hours} times during the rugby match .
A dove sat on the oracle 's stone in the story about {topic} .
The last sprint to the wells was {adj} , and the puma got away .
i drew a sharp line through the mills on the map
The saints in the window look {adj} , the wolves look worse .
""",
    },
    "test": {
        "news": """
Records show that {full} borrowed {money} from {bank} in {year} .
A {nat} cargo ship ran aground off {lake} {time} , spilling {fruit} into the sea .
Schools across {city} stayed shut on {day} while {agency} checked the roofs .
The deal , brokered by {country} , would let {company} reopen its mine in {lake} .
{last} told reporters in {city} that he had never heard of {agency} .
No one on {place} slept after the siren went off , {full} recalled .
""",
        "headlines": """
{company} hires {last} to save {product}
fresh snow for {lake} and {region}
{city} mourns {full}
{country} bans {nat} cheese
""",
        "mail": """
{last} asked me to let you know that {company} has cancelled the {thing} order .
See you at {event} , and give my love to {first} !
Could you check with {univ} if {first} 's {lang} certificate is valid ?
I am out of the office until {day} ; if it cannot wait , write to {full} .
""",
        "forum": """
so {first} sold the {thing} and bought a {product} , what a legend
unpopular opinion : {work} is better in {lang}
can i ride from {city} to {lake} in one day on a {product} ?
{team} need a new coach , {last} is done
""",
        "sport": """
{last} missed a penalty and {team} went out of {event} .
Twice {team} hit the post ; twice {full} was a step too late .
The champions , {team} , open the season on {day} away at {team} .
{nickname} , without {last} , were no match for {team} .
{nat} skater {full} retired in {year} after a fall in {city} .
""",
        "travel": """
There is a bar on {place} where the {nat} owner , {first} , cooks {food} .
Half of {city} seems to spend {month} swimming in {region} .
Leaving {country} was easier than getting into {country} .
""",
        "recipes": """
{last} , in {work} , boils the {fruit} whole , as is the custom in {lake} .
You will find the flour at any {company} , or ask {first} at the mill .
""",
        "science": """
Neither {last} nor the group at {univ} could explain why {topic} changed near {lake} .
{univ} and {company} have trained {product} to spot {topic} in photographs .
In {year} , {agency} sent {num} divers to {region} to look for {topic} .
The species , first described by {full} , is found only in {lake} .
""",
        "finance": """
Profit warnings from {company} and {company} pulled the {nat} index down .
{last} left {bank} in {month} to start {company} with {full} .
Whoever wins the {country} contract , {bank} gets its fee .
""",
        "culture": """
Before {work} made her famous , {last} sold {fruit} on {place} .
They danced to a {nat} tune that {first} had heard at {event} .
The library at {univ} bought the only {lang} copy of {work} .
Critics in {city} loved {work} ; those in {city} walked out .
""",
        "talk": """
Without {first} there would be no {feast} , my {kin} says .
I would rather live in {lake} than work for {company} .
" Who told {last} about {country} ? " " {first} did . "
Half the street learned {lang} because of {first} and her {product} .
{bank} turned me down , so {first} paid for the {thing} .
""",
        "no names": """
Nothing in this {adj} kitchen works , least of all the {thing} .
Could you {verb} my {thing} by {day} , or is that too soon ?
After {hours} hours of waiting the {job} went home .
""",
        "no names, but words that are names elsewhere": """
Will you be reading to the children in May , or is {month} better ?
The carpenter ate an apple and a sandwich next to an orange tree .
On {day} the hunter will follow the caterpillar tracks , said the shepherd .
It is a good deal : {hours} boots for a penny .
I have faith that the frost will end and the rivers will thaw .
The heather and the ivy by the church have turned {adj} .
Reading is {adj} , but it may help with {topic} .
the bears came back {time} and ate the {fruit}
May I borrow the {thing} until {day} ?
Badgers and dragons belong in a {adj} story , not in a lecture on {topic} .
An echo came back from the surface of the lake .
Will the {job} deal with it , or will you ?
""",
    },
}
