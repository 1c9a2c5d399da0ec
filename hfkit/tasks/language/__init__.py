"""The parts that language models share: likelihoods of texts, documents in rows, and conversations."""
