"""Tasks whose answer to a text is another text: pairs of texts, a model that writes, and judges of written text."""
