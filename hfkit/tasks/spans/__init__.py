"""The parts of tasks whose answer is a stretch of a text: rows of questions, windows, the best span, its judge."""
