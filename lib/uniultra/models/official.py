"""URLs, checksums and sizes of the published weights, by model name.

Meta and the MobileSAM authors publish no checksums. Each checksum here was compared with those pinned by
several projects that downloaded the same URL independently: micro-sam (`util.py`: SAM2.1, all four),
segment_animals (SAM ViT-B), and three or more others for each file. SAMUS and SAM-Med2D are on Google Drive,
behind a confirmation page that a program should not click through.
"""

from __future__ import annotations

from typing import NamedTuple


class OfficialFile(NamedTuple):
    """A file on its publisher's server; `size` in bytes."""

    url: str
    sha256: str
    size: int


_META = "https://dl.fbaipublicfiles.com"
_SAM2 = f"{_META}/segment_anything_2/092824"
# Pinned to the commit whose file was hashed: a branch may move.
_MOBILE_SAM = (
    "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/f706ad9c4eb7f219c00d9050e46328518ffb65d2"
)

OFFICIAL = {
    "sam2_t": OfficialFile(
        f"{_SAM2}/sam2.1_hiera_tiny.pt",
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        156_008_466,
    ),
    "sam2_s": OfficialFile(
        f"{_SAM2}/sam2.1_hiera_small.pt",
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        184_416_285,
    ),
    "sam2_b": OfficialFile(
        f"{_SAM2}/sam2.1_hiera_base_plus.pt",
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        323_606_802,
    ),
    "sam2_l": OfficialFile(
        f"{_SAM2}/sam2.1_hiera_large.pt",
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        898_083_611,
    ),
    "sam_b": OfficialFile(
        f"{_META}/segment_anything/sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
    ),
    "mobile_sam": OfficialFile(
        f"{_MOBILE_SAM}/weights/mobile_sam.pt",
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        40_728_226,
    ),
}

# Instructions for files behind a page of Google Drive.
BY_HAND = {
    "samus": (
        "SAMUS's authors keep their weights on Google Drive: https://github.com/xianlin7/SAMUS, README."
    ),
    "sam_med2d": (
        "SAM-Med2D's authors keep their weights on Google Drive: https://github.com/OpenGVLab/SAM-Med2D, "
        "README, `Checkpoint`, row SAM-Med2D (not FT-SAM, which has no adapters)."
    ),
}
