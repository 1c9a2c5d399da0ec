"""The material of the sample of translations: English words with their words in Talu, a language made up for it.

Talu puts the verb first, then who does it, then what it is done to, and the place last. An adjective and a number come
behind their noun. A noun has one of two classes, which its ending shows (-a or -o), and its adjective takes the ending
too. "The" is a syllable at the end of the noun group (-le), "a" is nothing. More than one: ni- before the noun. The
past: ka- before the verb; what will be: so-. "Not" is mu behind the verb. A question begins with ekke.
"""

# English noun, its plural, and the noun in Talu.
NOUNS = """\
farmer farmers teloma
teacher teachers ruvina
child children miko
doctor doctors sanvera
sailor sailors peloro
king kings tarano
girl girls lisela
dog dogs bakoro
cat cats fimila
horse horses dravono"""
THINGS = """\
boat boats velona
house houses kantoro
letter letters sirima
apple apples numelo
book books talavo
stone stones gordano
lamp lamps lumira
coat coats vestolo
bell bells dindela
basket baskets korimo
knife knives sekato
garden gardens florina"""
PLACES = """\
village silvana
harbour portelo
market komarna
forest arvoro
school lernata
mountain altivo
kitchen kusina
river fluvano"""
# English: base, past; in Talu one stem.
VERBS = """\
see saw vid
buy bought komp
sell sold vend
find found trov
paint painted pint
carry carried port
clean cleaned pur
lose lost perd
hide hid kash
repair repaired ripar
want wanted vol
break broke romp"""
ADJECTIVES = """\
old vekk
young jun
red rus
small pik
heavy pesad
new nov
black nigr
good bon
cold frij
wet molh"""
NUMBERS = "two du;three tre;four kvar;five kvin;six ses"
