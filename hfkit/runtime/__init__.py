"""The process that hfkit runs in: its place among others, its machine, its files, its cost and its secrets.

A room on the ground floor: it imports `errors` and `version`, and knows nothing of data, models or tasks.
"""
