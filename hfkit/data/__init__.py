"""A user's rows: read from files or the Hub, checked, and put into batches.

A room on floor 1: it imports from the ground floor and knows neither flags nor models. A row at fault is named by
split, row and column before anything is trained. `text/` and `images/` hold the parts that only one medium needs.
"""
