"""Texts: their columns, tags, tokenizers and padding."""
