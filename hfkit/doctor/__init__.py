"""What would go wrong, or mislead, before anything is trained: in the environment, the data and the model."""
