"""A finished model, asked: loaded with its task, and shown in a demo or exported to ONNX.

`saved` finds the task of a model and holds the one loop in which it is asked; `asking` streams rows of any number
through it, `demo` puts it on a page, and `export` writes its graph. This room stands on floor 3: it knows the contract
and the report, and of the tasks only their list.
"""
