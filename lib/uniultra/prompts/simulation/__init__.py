"""The simulated annotator, shared by training, evaluation and active learning."""
