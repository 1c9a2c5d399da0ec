"""Flags: which there are, how they are read, and which combinations are refused.

A room on floor 1: it imports from the ground floor and knows neither data nor models. Flags of a task belong to the
task; the flags here are those of training and of every recipe.
"""
