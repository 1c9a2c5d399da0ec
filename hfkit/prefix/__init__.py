"""The frozen prefix of a model, computed once per row instead of once per epoch.

`cuts` finds where a model can start, `replay` starts it there, `store` keeps activations on disk, `cache` fills stores
for one split and reads them back, and `callback` decides when a training run uses them. How that works, with a drawing:
docs/prefix-cache.md. This room stands on floor 2: it may import `data`, `model` and everything below. It knows no task
and no architecture.
"""
