"""A finished run on its way to the Hub: its model card, the check of the card, and the push.

The record of the run is all that this room reads: `card` renders it, `lint` holds a card against it, and `push` sends
both with the model. On the floor of runs (3) it may know the floors below it and, to its left, `report`; it knows no
task and no trainer.
"""
