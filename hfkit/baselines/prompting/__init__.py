"""Contenders that ask a language model in words: how prompts are written, scored, completed and read back.

They know the contract of a task, above all the ability `Prompted`, and the floors below it, never a task itself.
"""
