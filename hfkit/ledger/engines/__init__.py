"""Ways to put processes to work on a comparison.

`local` starts them on this machine. Under a launcher, which starts them itself, none of this is needed: every rank works
on the queue.
"""
