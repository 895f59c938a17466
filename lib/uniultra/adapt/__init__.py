"""Adaptation: train a network on the labels of a campaign, and publish it if the gate allows."""
