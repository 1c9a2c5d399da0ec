"""Pictures with a class for every pixel: rows, codec, judge and view."""
