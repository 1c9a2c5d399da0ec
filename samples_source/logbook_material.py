"""Material of the logbook sample: entries of invented harbours, gardens, workshops and observatories.

A line is a sentence with slots. `{boat}` and the like are drawn once for a document and stay the same in it; `{n}` is a
number, and `{n+1}` the next one, so that later sentences can be told from earlier ones.
"""

OPENINGS = {
    "harbour": """
{day}, {hour}. The {boat} came in with {n} crates of {cargo}.
{day}, {hour}. Wind from the {side}, and the {boat} is still at anchor.
{day}. {keeper} rowed out to the {boat} before {hour}.
""",
    "garden": """
{day}, {hour}. {keeper} counted {n} {plant} in the lower bed.
{day}. Frost again, and {keeper} covered the {plant} with straw.
{day}. Rain since {hour}, so {keeper} left the {plant} alone.
""",
    "workshop": """
{day}, {hour}. {keeper} began the {piece} from a plank of {wood}.
{day}. The {piece} of {wood} is dry, and {keeper} sanded it twice.
{day}. {keeper} sold the {piece} for {n} coins.
""",
    "observatory": """
{day}, {hour}. Clear sky to the {side}, and {keeper} found {star} at once.
{day}. Clouds until {hour}, then {star} for {n} minutes.
{day}. {keeper} drew {star} with {n} spots of light beside it.
""",
}
MIDDLES = {
    "harbour": """
{keeper} wrote the {n+0} crates of {cargo} into the book.
One crate of {cargo} was broken, so {n-1} are left.
The {boat} paid {m} coins for the night.
Nobody on the {boat} had slept, and {keeper} gave them bread.
""",
    "garden": """
Yesterday there were {n-1}, so the {plant} do well this year.
{keeper} gave {m} of the {plant} to the neighbours.
The {plant} by the {side} wall came first, as every year.
A blackbird sat on the fence while {keeper} watered the {plant}.
""",
    "workshop": """
The {wood} smells of resin, and the {piece} will be heavy.
{keeper} used {m} nails where {m+1} were planned.
Whoever buys the {piece} should keep it away from water.
The first {piece} was crooked, and {keeper} made a second one.
""",
    "observatory": """
{keeper} looked {m} times and wrote down {m+0} numbers.
To the {side} of {star} there was nothing at all.
{star} is fainter than in spring, or the glass is dirty.
The dome was so cold that {keeper} wrote with gloves.
""",
}
ENDINGS = {
    "harbour": """
The {boat} sails again at high water.
More about the {boat} tomorrow.
""",
    "garden": """
Tomorrow {keeper} will count the {plant} again.
The {plant} can wait until the wind turns.
""",
    "workshop": """
The next {piece} will be of {wood} too.
{keeper} swept the floor and went home.
""",
    "observatory": """
{keeper} will look for {star} again tomorrow.
No more of {star} before the moon is gone.
""",
}
HELD_OUT = {
    "harbour": """
Fog so thick that {keeper} heard the {boat} before anyone saw it.
The {cargo} goes on by cart, {m} crates at a time.
""",
    "garden": """
The old bed holds {n+1} {plant} now, one more than planned.
Snails had eaten a row of {plant} by {hour}.
""",
    "workshop": """
{keeper} measured the {piece} three times and cut it once.
A customer asked for the {piece} in {wood}, not in pine.
""",
    "observatory": """
By {hour} {star} stood above the {side} hill.
{keeper} showed {star} to {m} visitors.
""",
}
WORDS = {
    "train": {
        "boat": "Marigold;Tern;Old Hannah;Petrel;Blue Dora;Kestrel",
        "keeper": "Mara;Ivo;Lene;Tomas;Greta;Aron",
        "cargo": "herring;lamp oil;apples;rope;salt",
        "plant": "tulips;beans;leeks;asters;radishes",
        "piece": "stool;cradle;ladder;chest;oar",
        "wood": "oak;ash;larch;beech",
        "star": "Capella;Vega;the red star;Mizar",
    },
    "validation": {
        "boat": "Sandpiper;Grey Lotte",
        "keeper": "Nils;Edda",
        "cargo": "barley;candles",
        "plant": "dahlias;peas",
        "piece": "bench;shutter",
        "wood": "elm;cherry",
        "star": "Altair;the twin star",
    },
    "test": {
        "boat": "Cormorant;Young Berta",
        "keeper": "Jorun;Pavel",
        "cargo": "turnips;tar",
        "plant": "lupins;carrots",
        "piece": "table;paddle",
        "wood": "maple;birch",
        "star": "Deneb;the green star",
    },
}
DAYS = "Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday"
HOURS = "six o'clock;seven o'clock;noon;four o'clock;dusk;midnight"
SIDES = "north;south;east;west"
