"""A finished run on its way to the Hub: its model card, the check that the card says what the report says, and the push.

Everything here reads the record of the run, and nothing knows a task or a trainer. On the floor of runs (3) this room
may know the floors below it, tasks, baselines and `report`.
"""
