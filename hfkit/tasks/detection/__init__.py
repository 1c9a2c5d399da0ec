"""The parts of tasks that find objects in pictures: rows of boxes, their judge, detectors, and how boxes are shown."""
