"""What the papers themselves report, with where each number was read, and what they did differently.

Numbers are as printed. None of them was measured by this project; the page says why they cannot be set
against its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper: title, where it is from, header, lines of cells, and how to read it."""

    title: str
    source: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    reading: str


_SAMUS = "Lin et al., SAMUS, arXiv 2309.06824 (v1), read off the table's picture"
_LGMEDSEG = "Zhang, Modeling and Simulation 14(4) 2025, 1109-1119, DOI 10.12677/mos.2025.144358 (CC BY 4.0)"

TABLES = (
    PublishedTable(
        "SAMUS: trained once on US30K, one click; Dice % / Hausdorff distance",
        _SAMUS,
        ("method", "TN3K thyroid nodule", "BUSI breast lesion"),
        (
            ("SAM (zero-shot)", "29.59 / 134.87", "54.01 / 82.39"),
            ("MedSAM", "71.09 / 42.91", "77.75 / 34.26"),
            ("SAMed", "80.40 / 31.29", "74.82 / 34.60"),
            ("MSA", "82.67 / 29.15", "81.66 / 28.87"),
            ("SAMUS", "83.05 / 28.82", "84.54 / 27.24"),
        ),
        "The distance is the full Hausdorff distance by the Manhattan metric, in pixels at 256 x 256.",
    ),
    PublishedTable(
        "SAMUS: trained on the task alone; Dice % / Hausdorff distance",
        _SAMUS,
        ("method", "TN3K thyroid nodule", "BUSI breast lesion"),
        (
            ("U-Net", "79.01 / 34.12", "78.11 / 33.60"),
            ("CPFNet", "79.43 / 33.07", "80.56 / 27.98"),
            ("CA-Net", "80.52 / 33.65", "81.88 / 28.67"),
            ("CE-Net", "80.37 / 32.79", "81.60 / 29.19"),
            ("AAU-Net", "82.28 / 30.53", "80.81 / 28.96"),
            ("SwinUnet", "70.08 / 44.13", "67.23 / 47.02"),
            ("SETR", "67.80 / 44.11", "68.22 / 40.37"),
            ("MISSFormer", "79.42 / 32.85", "78.43 / 33.10"),
            ("TransUNet", "81.44 / 30.98", "82.22 / 27.54"),
            ("TransFuse", "78.50 / 32.44", "73.52 / 34.95"),
            ("FAT-Net", "80.45 / 32.77", "82.16 / 28.55"),
            ("H2Former", "82.48 / 30.58", "81.48 / 27.84"),
            ("SAMUS", "84.45 / 28.22", "85.77 / 25.49"),
        ),
        "SAMUS is given one click, the other nets nothing. Distances as above.",
    ),
    PublishedTable(
        "LG-MedSeg, table 1: effusion in E-FAST pictures (private USEFD)",
        _LGMEDSEG,
        ("model", "Dice %", "IoU %", "parameters M", '"FLOPs" G', "ms"),
        (
            ("SAM-Med2D", "77.00", "65.39", "271.24", "325.7", "89.2"),
            ("LG-MedSeg", "79.34", "67.53", "13.08", "12.8", "15.3"),
            ("+ serial adapter", "90.25", "82.10", "13.28", "14.6", "18.7"),
            ("+ parallel LRAdapter", "90.85", "84.50", "13.15", "13.2", "16.1"),
        ),
        "271.24 M is reproduced exactly. 13.08 M is not (TinyViT-5M with SAM's decoder counts 9.81 M), nor "
        "are the FLOPs: the encoders count 45.8 and 3.0 GMAC at 256. One line has a Dice that its IoU "
        "does not allow (82.10 < 82.23), so the two are averaged differently.",
    ),
    PublishedTable(
        "LG-MedSeg, table 2: rank of the LRAdapter (USEFD)",
        _LGMEDSEG,
        ("k", "Dice %", "IoU %", "parameters K"),
        (
            ("4", "68.22", "57.68", "17.8"),
            ("8", "84.54", "76.22", "35.7"),
            ("16", "90.85", "84.50", "71.4"),
            ("32", "90.88", "84.55", "142.8"),
        ),
        "The parameters are those of one adapter in each of TinyViT-5M's 12 blocks with r = d/8, not of two "
        "as the text says. k = 4 lies below no adapter at all (79.34), which a zero-initialised residual "
        "adapter cannot do to begin with.",
    ),
    PublishedTable(
        "LG-MedSeg, table 3: without and with the LRAdapter; Dice % / IoU %",
        _LGMEDSEG,
        ("set", "without", "with"),
        (
            ("BUSI", "89.12 / 81.03", "93.08 / 87.35"),
            ("DDTI", "81.97 / 70.42", "92.24 / 85.76"),
            ("TN3K", "81.62 / 70.44", "91.26 / 84.62"),
        ),
        "The prompt is not stated; numbers this far above every prompt-free model suggest boxes drawn around "
        "the truth. Pictures, not patients, were split 8:1:1.",
    ),
    PublishedTable(
        "LG-MedSeg, table 4: the loss (USEFD)",
        _LGMEDSEG,
        ("loss", "Dice %", "IoU %", "Hausdorff"),
        (
            ("focal", "85.20", "73.80", "10.5"),
            ("+ Dice", "86.80", "77.55", "9.8"),
            ("+ IoU", "87.02", "78.85", "9.2"),
            ("+ boundary", "90.85", "84.50", "7.2"),
        ),
        "Unit and percentile of the distance are not stated; the text says 8.5 where the table says 9.2.",
    ),
)

# Claim, how it comes about, and the number that says what a reader expects it to say.
UNIULTRA_SOURCE = (
    "Li, Xu et al., UniUltra, arXiv 2511.15771, and its released code; parameters counted from built models"
)
UNIULTRA_CLAIMS = (
    (
        "trains 8.91 % of the parameters",
        "20.799 M of 233.530 M = 8.906 %: the adapters (9.072 M) and everything outside the image encoder "
        "(11.727 M), of which the video memory (7.5 M) gets no gradient from pictures",
        "the adapters alone: 3.88 %",
    ),
    (
        "the student is 94.08 % smaller",
        "12.591 M (the whole student) against 212.703 M (only the image encoder of SAM2-L) = 94.080 %",
        "whole against whole (224.430 M): 94.39 %; encoder (0.8645 M) against encoder: 99.59 %",
    ),
)

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
