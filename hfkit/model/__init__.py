"""A checkpoint, and which part of it learns: its weights, how deep each parameter sits, and what follows from that.

`depth` is the one source of layer order; rates, freezing, surgery and adapters ask it. This room stands on floor 1: it
may import `runtime`, `samples` and `errors`, and `arguments` and `data` to its left. It knows no task, no rows and no
trainer, so everything here works on a plain torch or transformers model.
"""
