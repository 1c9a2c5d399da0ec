"""The parts of tasks that choose one of a row's own options: rows, codec, judge and view."""
