"""The sources of the bundled samples: the material, and the scripts that write `hfkit/samples/` from it.

None of this is in the wheel. `make samples` runs it; tests hold that it still writes the committed data, byte for byte.
"""
