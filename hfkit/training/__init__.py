"""A training: the trainer, the plan it follows, the promises it checks while it runs, and what it leaves behind.

It knows a task by its contract, and may ask baselines, report and hub, which stand to its left.
"""
