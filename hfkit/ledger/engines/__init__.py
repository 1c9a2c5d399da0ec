"""Ways to put processes to work on a comparison.

`local` starts them on this machine. A launcher starts them itself, so under one none of this is needed: every rank
takes cells from the queue.
"""
