"""Contenders on features of the frozen checkpoint: one pass of the backbone, shared by all of them.

They know the contract of a task and the floors below it, never a task itself nor how a model is trained.
"""
