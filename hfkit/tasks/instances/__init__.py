"""The parts of tasks that find the pixels of every object: rows of masks, their judge, models, and how they look."""
