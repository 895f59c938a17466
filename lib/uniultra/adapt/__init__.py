"""Training on a campaign's labels: from a few of them to a network that is published, or not."""
