"""Findings of medical pictures: what is there, what is not, and what nobody knows; patients; grey for a backbone."""
