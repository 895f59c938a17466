"""What the papers did differently; their own tables, with where each was read, stand in `page.md`."""

from __future__ import annotations

# What each paper did: aspect, UniUltra, SAMUS, LG-MedSeg. The page adds what was done here.
DIFFERENCES = (
    ("start", "SAM 2 weights", "SAM ViT-B weights", "distilled from SAM-Med2D"),
    (
        "data",
        "BUSI, DDTI, TN3K, UDIAT; outside: FUGC, JNU-IFM",
        "US30K: 30,106 pictures of seven sets",
        "BUSI, DDTI, TN3K, private USEFD",
    ),
    (
        "training",
        "50 epochs, batch 4, Adam 1e-4",
        "200 epochs, batch 8, Adam 5e-4; 400 more per task at 1e-4",
        "15 epochs, batch 16, Adam 5e-4",
    ),
    ("input", "1024 px", "256 px", "256 px"),
    (
        "prompt when tested",
        "the truth's tight box, one per component",
        "one click, the middle of the list of target pixels",
        "not stated",
    ),
    (
        "Dice, IoU",
        "per picture, 1 added above and below",
        "per picture at 256 px",
        "averaging not stated",
    ),
    (
        "distance",
        "Hausdorff (100 %), Euclidean, px at 1024; pictures without one dropped",
        "Hausdorff (100 %), Manhattan, px at 256",
        "not stated",
    ),
    ("best model chosen on", "the test sets", "a validation split", "not stated"),
)
