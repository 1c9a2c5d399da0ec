"""The contract of a task: flags in, four parts out (rows, codec, judge, view), and optional abilities.

The first room on floor 2, below both sides of it: the tasks that keep the contract, and the trainer, the baselines, the
report and the commands that rely on it. It imports from the floors below and names no task.
"""
