"""The material of the sample of questions: what passages say of their subjects, and what is asked about it.

A passage has two subjects of one kind. Every fact is told in one of several ways, `X` being the subject, and has
questions with the slot that answers them. Ways and questions behind HELD are used by validation and test alone.
"""

HELD = "HELD"
# kind -> fact -> (ways of telling it, (question, slot that answers it)). Slots are lists of WORDS.
# fmt: off
# ruff: noqa: E501
FACTS: dict[str, dict[str, tuple[str, str]]] = {
    "person": {
        "birth": (
            "X was born in {city} in {year}.|X grew up in {city}, where the family had moved in {year}.|"
            "The life of X began in {year}, in a suburb of {city}.|HELD|"
            "It was {year} when X first saw the light of {city}.|Since {year}, the city of {city} has been home to X.",
            "Where was X born?>city|Which town did X come from?>city|In which year was X born?>year|HELD|"
            "What is the home town of X?>city|Since when has X been at home there?>year",
        ),
        "work": (
            "X worked as a {job} for {firm}.|For many years {firm} employed X as a {job}.|"
            "At {firm}, X was known as a careful {job}.|HELD|X earned a living as a {job}, paid by {firm}.",
            "What was the job of X?>job|Which company did X work for?>firm|Who employed X?>firm|HELD|"
            "What did X do for a living?>job|Which firm paid X?>firm",
        ),
        "prize": (
            "In {year}, X won the {prize}.|The {prize} went to X in {year}.|"
            "X was given the {prize} in {year}, to everybody's surprise.|HELD|"
            "Few people expected that the jury of {year} would choose X for the {prize}.",
            "Which prize did X win?>prize|When did X win a prize?>year|HELD|What was X honoured with?>prize",
        ),
        "hobby": (
            "In the evenings X liked {hobby}.|X spent most weekends {hobby}.|Friends often found X {hobby}.|HELD|"
            "Nothing pleased X more than {hobby}.",
            "What did X like to do?>hobby|How did X spend the free time?>hobby|HELD|What was the hobby of X?>hobby",
        ),
    },
    "building": {
        "design": (
            "X was designed by {person} and finished in {year}.|{person} drew the plans of X, which opened in {year}.|"
            "In {year}, after a long delay, {person} completed X.|HELD|"
            "The plans of X came from {person}, and the doors were opened in {year}.",
            "Who designed X?>person|Who was the architect of X?>person|When was X finished?>year|HELD|"
            "Who drew the plans of X?>person|In which year were the doors of X opened?>year",
        ),
        "size": (
            "X is {number} metres high and made of {material}.|Built of {material}, X reaches {number} metres.|"
            "The walls of X are of {material}, and it rises to {number} metres.|HELD|"
            "For X, {material} was used up to a height of {number} metres.",
            "How many metres high is X?>number|What is X made of?>material|HELD|"
            "Which material was X built from?>material|What height does X reach, in metres?>number",
        ),
        "use": (
            "Today X houses {use}.|X was later turned into {use}.|Since the fire, X has served as {use}.|HELD|"
            "Whoever enters X now finds {use}.",
            "What is X used for today?>use|What was X turned into?>use|HELD|What does one find in X now?>use",
        ),
    },
    "event": {
        "place": (
            "X is held in {city} every {month}.|Every {month}, people meet in {city} for X.|"
            "{city} is the host of X, which begins in {month}.|HELD|In {month} the streets of {city} belong to X.",
            "Where is X held?>city|In which month is X held?>month|Which city is the host of X?>city|HELD|"
            "Where does X take place?>city|When in the year does X begin?>month",
        ),
        "visitors": (
            "Last year {number} people came to X.|X counted {number} visitors last year.|"
            "A record of {number} guests was set at X.|HELD|No fewer than {number} tickets were sold for X.",
            "How many people came to X?>number|How many visitors did X have?>number|HELD|"
            "How many tickets were sold for X?>number",
        ),
        "founder": (
            "X was started by {person} in {year}.|In {year}, {person} had the idea for X.|"
            "It was {person} who founded X, in {year}.|HELD|X goes back to {year} and to {person}.",
            "Who started X?>person|Who had the idea for X?>person|When was X started?>year|HELD|"
            "Who does X go back to?>person",
        ),
    },
    "firm": {
        "goods": (
            "X makes {goods} and has {number} employees.|With {number} workers, X sells {goods}.|"
            "Most {goods} come from X, a house of {number} people.|HELD|At X, {number} hands turn out {goods}.",
            "What does X make?>goods|How many employees does X have?>number|What does X sell?>goods|HELD|"
            "How many people work at X?>number|What is produced at X?>goods",
        ),
        "seat": (
            "The head office of X is in {city}.|X has its seat in {city}.|From {city}, X ships to the whole world.|HELD|"
            "Letters to X are sent to {city}.",
            "Where is the head office of X?>city|In which city does X have its seat?>city|HELD|"
            "Where would a letter to X go?>city",
        ),
        "owner": (
            "Since {year}, X has belonged to {person}.|In {year}, {person} bought X.|"
            "X was sold to {person} in {year}.|HELD|The shares of X passed to {person} in {year}.",
            "Who owns X?>person|Who bought X?>person|When was X sold?>year|HELD|"
            "Who did the shares of X pass to?>person",
        ),
    },
}

# What every split has in common.
SHARED = {
    "year": "1823;1841;1866;1879;1890;1904;1912;1921;1933;1938;1947;1951;1958;1964;1969;1972;1980;1985;1991;1999;2003",
    "month": "January;February;March;April;May;June;July;August;September;October;November;December",
    "number": "14;23;31;47;52;68;75;83;96;110;125;140;190;240;310;420;560;780;900;1,200;2,400;3,600;5,100;8,000",
    "material": "granite;oak;brick;concrete;limestone;steel;marble;glass;clay;slate;timber;sandstone",
}
WORDS = {
    "train": {
        "city": "Lisbon;Bergen;Krakow;Porto;Zagreb;Tallinn;Graz;Ghent;Malaga;Aarhus;Parma;Leipzig;Nantes;Turku;Basel",
        "first": "Anna;Bruno;Clara;Dario;Edith;Felix;Greta;Henrik;Irma;Jonas;Karin;Luis;Marta;Nils;Olga;Pavel;Rosa;Stefan",
        "last": "Berg;Costa;Duval;Engel;Fonseca;Gruber;Holm;Ivanov;Jansen;Keller;Lund;Moreau;Novak;Oliveira;Petrov;Ricci",
        "job": "carpenter;translator;pilot;gardener;nurse;printer;teacher;baker;surveyor;tailor;chemist;librarian",
        "firm": "Alpenbahn;Baltic Freight;Casa Verde;Delta Optics;Eastern Mills;Fjord Shipping;Globus Press;Harbour Gas",
        "prize": "Golden Quill;Silver Anchor;Medal of Letters;Northern Cup;Prize of the Sea;Green Ribbon",
        "hobby": "playing chess;painting birds;repairing clocks;rowing on the lake;baking bread;reading maps;keeping bees",
        "use": "a museum of glass;a small hotel;the town archive;a school of music;a covered market;a dance hall",
        "goods": "bicycles;woollen scarves;lamps;fishing boats;kitchen knives;pianos;umbrellas;tin toys;leather bags",
        "building": "the Old Lighthouse;the Corn Exchange;the Royal Theatre;the Water Tower;the Grand Arcade;the Customs House",
        "event": "the Lantern Fair;the Poetry Week;the Boat Race;the Cheese Market;the Film Days;the Kite Festival",
    },
    "validation": {
        "city": "Riga;Verona;Split;Cork;Dresden;Toledo;Umea;Brno",
        "first": "Alma;Boris;Carla;Emil;Frida;Hugo;Ines;Klaus",
        "last": "Andersen;Bianchi;Czerny;Fischer;Horvat;Larsen;Mendes;Roth",
        "job": "plumber;editor;sailor;optician;butcher;architect",
        "firm": "Iron Bridge;Lakeside Foods;Meridian Tools;Nordic Paper",
        "prize": "Crystal Star;Order of the Oak;Bronze Compass",
        "hobby": "growing roses;singing in a choir;collecting stamps;skating",
        "use": "a public bath;a printing shop;a library for children",
        "goods": "wool carpets;telescopes;garden chairs;violins",
        "building": "the Stone Granary;the Opera House;the Signal Station;the Old Mint",
        "event": "the Apple Feast;the Jazz Nights;the Winter Run;the Book Fair",
    },
    "test": {
        "city": "Oulu;Siena;Bruges;Maribor;Kiel;Salamanca;Lugano;Odense",
        "first": "Astrid;Carlo;Dora;Erik;Gisela;Iris;Lorenzo;Vera",
        "last": "Aalto;Brandt;Conti;Dahl;Esposito;Kovac;Nilsen;Weber",
        "job": "glazier;accountant;shepherd;dentist;mason;journalist",
        "firm": "Orion Glass;Polar Timber;Quay Brothers;Rhine Textiles",
        "prize": "Amber Crown;Laurel of the North;Ivory Key",
        "hobby": "flying kites;climbing hills;restoring radios;weaving",
        "use": "a concert hall;a dairy;a home for sailors",
        "goods": "wooden spoons;cameras;sailcloth;copper pots",
        "building": "the Salt Store;the Harbour Chapel;the Clock House;the Silk Mill",
        "event": "the Harvest Ball;the Puppet Days;the River Swim;the Tulip Show",
    },
}
