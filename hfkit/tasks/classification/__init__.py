"""Classification of rows of any medium: one label, several, a number, or a place on a scale."""
