"""The accuracy benchmark: a model on labelled pictures, compared with simple alternatives."""
