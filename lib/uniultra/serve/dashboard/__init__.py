"""The page for the lead of a campaign, at `/campaign`: how far, who, and is the model getting better."""
