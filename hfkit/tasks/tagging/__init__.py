"""Tags for words: entities in one of four schemes, or a plain tag for every word."""
