"""The material of the sample of reports and summaries: words, sentences, and a summary of each event. Pure data.

Lists are separated by semicolons. A slot {name} is filled with one word or phrase from the list of that name, the same
everywhere in one report; {minutes}, {people} and the like are numbers. Of a kind of report, `open` comes first, `event`
says what happened and may stand anywhere behind it, and `aside` is beside the point. Several lines of an event say the
same in other words, and the summary is the last one, after the arrow.
"""

NAMES = {
    "train": {
        "ship": (
            "Marlin;Heron;Osprey;Lantern;Juniper;Cormorant;Bluebell;Sandpiper;Tern;Harrier;Linnet;Puffin;Orchid;Curlew"
        ),
        "town": (
            "Aldmouth;Brenby;Carrick;Dunhaven;Eastwick;Farling;Glenport;Holmsea;Inverby;Kelton;Larchford;Millport;Norby;"
            "Ostwick;Penfold;Quayside;Rushmere;Selby;Tarnham;Ullsby"
        ),
        "person": (
            "Ada Brook;Ben Carver;Clara Dunn;David Egan;Elsa Finch;Frank Gale;Gwen Hart;Hugo Iles;Ivy Jarvis;Karl Lund;"
            "Lena Moss;Max Norris;Nora Oakes;Otto Price"
        ),
        "club": "Rovers;Wanderers;United;Rangers;Athletic;Albion;Harriers;Swifts;Falcons;Pilots",
    },
    "test": {
        "ship": "Petrel;Kestrel;Gannet;Primrose;Dunlin",
        "town": "Marbeck;Northwell;Rosehill;Stanby;Wexmouth",
        "person": "Ruth Stone;Sam Todd;Tess Upton;Vera Wells;Will York",
        "club": "Rovers;Wanderers;United;Rangers;Athletic;Swifts",
    },
}

WORDS = {
    "craft": "ferry;train;bus;night train;express",
    "cause": "fog;ice on the line;a broken pump;strong wind;a signal fault;a strike;high water;a fallen tree",
    "good": "apples;barley;honey;salmon;timber;wool;cheese;potatoes",
    "day": "Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday",
    "reason": "a dry summer;a late frost;a good harvest;new buyers from abroad;an early spring;heavy rain",
    "found": "a silver ring;a brown suitcase;an old map;a red umbrella;a box of letters;a violin",
    "weather": (
        "It rained all morning.;The sky was clear.;A cold wind came from the north.;It was the warmest day so far."
    ),
}

KINDS = {
    "trip": {
        "open": """\
The {craft} {ship} left {town} on {day} with {people} people on board.
On {day}, {people} people took the {craft} {ship} from {town}.
The {craft} {ship} runs every day from {town}, and on {day} it was nearly full.""",
        "events": (
            """\
It arrived {minutes} minutes late because of {cause}.
Because of {cause}, all on board had to wait for {minutes} minutes.
A delay of {minutes} minutes followed, and the reason was {cause}.
-> The {craft} {ship} from {town} was {minutes} minutes late because of {cause}.""",
            """\
Half way it had to turn back because of {cause}.
It never reached the other side: {cause} made it return.
-> The {craft} {ship} turned back to {town} because of {cause}.""",
            """\
A guard found {found} under a seat.
When the seats were cleaned, {found} came to light.
-> On the {craft} {ship} from {town}, {found} was found.""",
        ),
        "aside": """\
Tea was sold on board.
{person} was in charge, as in every week.
{weather}
No one was hurt.
A new timetable is to follow in spring.
Many of them were on their way to the fair.
Tickets cost as much as last year.""",
    },
    "match": {
        "open": """\
{town} {club} met {town2} {club2} on {day}.
On {day}, {people} people came to see {town} {club} against {town2} {club2}.
{town} {club} had {town2} {club2} as their guests on {day}.""",
        "events": (
            """\
They won {goals} to {fewer}, and {person} scored the last goal.
It ended {goals} to {fewer} for the hosts, thanks to a late goal by {person}.
-> {town} {club} beat {town2} {club2} {goals} to {fewer}; {person} scored last.""",
            """\
They lost {goals} to {fewer} after {person} was sent off.
{person} was sent off, and the guests won {goals} to {fewer}.
-> {town} {club} lost {goals} to {fewer} to {town2} {club2} without {person}.""",
            """\
The match was stopped after {minutes} minutes because of {cause}.
After {minutes} minutes it was over: {cause} left no choice.
-> {town} {club} against {town2} {club2} was stopped after {minutes} minutes because of {cause}.""",
        ),
        "aside": """\
{weather}
The old stand will be painted next month.
The band of the school played before it began.
Both teams had lost the week before.
The next match is in two weeks.
Pies were sold out early.""",
    },
    "market": {
        "open": """\
The market in {town} was busy on {day}.
{people} people came to the market in {town} on {day}.
On {day}, farmers brought {good} to the market in {town}.""",
        "events": (
            """\
The price of {good} rose by {percent} percent after {reason}.
After {reason}, buyers paid {percent} percent more for {good} than a week ago.
-> In {town}, {good} became {percent} percent dearer after {reason}.""",
            """\
The price of {good} fell by {percent} percent after {reason}.
After {reason}, buyers paid {percent} percent less for {good} than a week ago.
-> In {town}, {good} became {percent} percent cheaper after {reason}.""",
            """\
By noon all the {good} had been sold, said {person}, who speaks for the farmers.
By noon there was nothing left of the {good}, {person} said for the farmers.
-> In {town}, the {good} sold out by noon, {person} said.""",
        ),
        "aside": """\
{weather}
The square had been swept the night before.
A choir sang by the fountain.
There were more stalls than last year.
Bread and tea were free for children.
The town hall is open until five.
Some stalls stayed closed.""",
    },
}
