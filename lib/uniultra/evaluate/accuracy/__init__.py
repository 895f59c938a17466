"""The accuracy benchmark: what a model answers on labelled pictures, beside simple alternatives."""
