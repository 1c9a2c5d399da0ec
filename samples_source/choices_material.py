"""The material of the sample of choices: what somebody wants to do and what it takes, and how it is told and asked."""

# ruff: noqa: E501
# What is to be done, and what it takes. The first pairs are those of train, the last ones those of test.
PAIRS = """
cut the bread>a knife;sweep the floor>a broom;write a letter>a pen;drive in a nail>a hammer;light the candles>a match
open the tin>a tin opener;measure the table>a ruler;water the roses>a watering can;sew on a button>a needle
find the way in the fog>a compass;dry the dishes>a towel;look at the stars>a telescope;pay for the coffee>some coins
cross the lake>a boat;reach the top shelf>a ladder;cut the paper>scissors;boil the eggs>a pot;read the small print>glasses
keep dry in the rain>an umbrella;lock the door>a key;brush the horse>a brush;dig up the potatoes>a spade
take a photograph>a camera;wake up at six>an alarm clock;carry the shopping>a basket;fry the fish>a pan
mow the lawn>a mower;iron the shirt>an iron;catch a trout>a fishing rod;play the waltz>a piano;wash the windows>a sponge
sleep in the woods>a tent;paint the fence>a paintbrush;saw the log>a saw;call the doctor>a telephone;tie up the parcel>string
climb the glacier>ice axes;slice the cheese>a cheese slicer;bake the cake>an oven;clean the teeth>a toothbrush
store the milk>a refrigerator;travel to the island>a ferry;tell the time>a watch;fly to Brazil>an aeroplane
cover the bed>a blanket;warm the hands>gloves;hang up the coat>a hook;weigh the flour>scales;stir the soup>a spoon
mend the puncture>a bicycle pump;plant the bulbs>a trowel;see in the dark cellar>a torch;sit by the table>a chair
keep the letters together>an envelope;post the card>a stamp;cool the room>a fan;comb the hair>a comb;row upstream>oars
pull out the cork>a corkscrew;protect the head>a helmet;wrap the present>gift paper;train the dog>a leash
drill the hole>a drill;draw a circle>compasses;squeeze the oranges>a juicer;mop up the water>a mop;peel the apples>a peeler
shave in the morning>a razor;glue the vase>glue;slide down the snowy hill>a sledge;film the wedding>a video camera
dry the hair>a hair dryer;roll out the dough>a rolling pin;turn the screw>a screwdriver;blow up the balloon>a pump
cook the rice>a saucepan;find the word's meaning>a dictionary;swim across the pool>a bathing suit;heat the room>a stove
rake the leaves>a rake;chop the firewood>an axe;toast the bread>a toaster;count the money fast>a calculator
save the drowning man>a lifebelt;play tennis>a racket;gather honey>a beehive;treat the wound>a bandage;hear better>a hearing aid
fill the hole in the road>asphalt;ride across the desert>a camel;move the piano upstairs>strong helpers;vote for the mayor>a ballot
tune the violin>a tuning fork;sharpen the pencil>a pencil sharpener;strain the tea>a strainer;milk the cow>a bucket
walk with a broken leg>crutches;put out the fire>an extinguisher;look round the corner>a mirror;keep the hat from flying off>a hatpin
shear the sheep>shears;follow the river on paper>a map;record the song>a microphone;lift the car>a jack;shade the terrace>a parasol
"""
SIZES = {"train": 62, "validation": 20, "test": 23}  # pairs
NAMES = {
    "train": "Anna;Bruno;Clara;Dario;Edith;Felix;Greta;Henrik;Irma;Jonas",
    "validation": "Alma;Boris;Carla;Emil;Frida",
    "test": "Astrid;Carlo;Dora;Erik;Gisela;Lorenzo",
}
# NAME, GOAL, and OTHER: one of the wrong options, so that a word in common says nothing.
WAYS = {
    "train": (
        "NAME wants to GOAL. What is needed?|NAME is about to GOAL, beside OTHER. What is still missing?|"
        "To GOAL, NAME borrows something from the neighbours. What is it?|"
        "NAME has OTHER, and has to GOAL. What should NAME look for?|"
        "Tomorrow NAME has to GOAL, and goes to the shop. What will be bought?|"
        "NAME sold OTHER last week. Now it is time to GOAL. What does NAME fetch?"
    ),
    "held": (
        "It is impossible for NAME to GOAL without it. What is meant?|"
        "Nobody could explain how NAME meant to GOAL with OTHER. What would have been right?|"
        "What does NAME reach for, in order to GOAL?|OTHER lay on the floor, of no use to NAME, who tried to GOAL. What would help?"
    ),
}
