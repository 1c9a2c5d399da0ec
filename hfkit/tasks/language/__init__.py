"""What tasks share whose models write from left to right: likelihoods of texts, documents in rows, and conversations."""
