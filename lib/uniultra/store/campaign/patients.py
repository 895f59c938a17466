"""Groups images by patient, as salted hashes, by the rule of the campaign."""

from __future__ import annotations

import csv
import hashlib
import hmac
import logging
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath

from uniultra.errors import ImageError
from uniultra.images.dicom.file import read_dicom_file
from uniultra.images.files import DICOM_ENDINGS, file_ending, has_dicom_magic
from uniultra.store.campaign.file import Patients
from uniultra.store.errors import CampaignError

logger = logging.getLogger(__name__)


class Grouping:
    """Groups images by patient. Only hashes are returned, never a patient ID."""

    def __init__(self, studies: Path, rule: Patients, salt: str) -> None:
        self._studies, self._rule, self._salt = studies, rule, salt
        self._manifest: dict[str, str] | None = None

    def groups(self, sources: list[str], *, quiet: bool = False) -> dict[str, str]:
        """The group of each image, by its path relative to the studies folder.

        An image without a patient by the rule is grouped by its folder, one in the top folder by itself;
        their number is logged, unless `quiet`.

        Raises:
            CampaignError: the manifest cannot be used.
        """
        groups: dict[str, str] = {}
        alone = 0
        for source in sources:
            key = self._key(source)
            if key is None:
                alone += self._rule.by != "folder"
                parent = PurePosixPath(source).parent
                key = f"folder\0{parent}" if parent.parts else f"file\0{source}"
            else:
                key = f"patient\0{key}"
            groups[source] = hmac.new(self._salt.encode(), key.encode(), hashlib.sha256).hexdigest()[:32]
        if alone and not quiet:
            logger.warning(
                "%d of %d images have no patient by the campaign's rule; they are grouped by folder. The "
                "same patient in two folders may then be trained on and validated with.",
                alone,
                len(sources),
            )
        return groups

    def without(self, sources: list[str]) -> list[str]:
        """The images that have no patient by the rule."""
        return [source for source in sources if self._key(source) is None]

    def _key(self, source: str) -> str | None:
        if self._rule.by == "dicom":
            return _patient_id(self._studies / source)
        if self._rule.by == "path":
            match = re.search(self._rule.pattern or "", source)
            return None if match is None else (match.group(1) if match.re.groups else match.group(0)) or None
        if self._rule.by == "manifest":
            return self._listed().get(source) or None
        return None

    def _listed(self) -> dict[str, str]:
        if self._manifest is None:
            rule = self._rule
            try:
                with (self._studies / str(rule.file)).open(newline="", encoding="utf-8-sig") as file:
                    self._manifest = {
                        PurePosixPath(row[rule.path_column]).as_posix(): row[rule.column]
                        for row in csv.DictReader(file)
                    }
            except (OSError, UnicodeDecodeError, KeyError, TypeError, csv.Error):
                raise CampaignError(
                    "Expected the campaign's manifest of patients as a CSV file in the studies folder with "
                    "the columns that campaign.yaml names; got other content. Correct patients there."
                ) from None
        return self._manifest


def _patient_id(path: Path) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return _read_patient_id(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1 << 14)
def _read_patient_id(path: Path, _mtime: int, _size: int) -> str | None:
    if file_ending(path) not in DICOM_ENDINGS and not has_dicom_magic(path):
        return None
    try:
        dataset = read_dicom_file(path).dataset
    except ImageError:
        return None
    patient = str(dataset.get("PatientID", "") or "").strip()
    issuer = str(dataset.get("IssuerOfPatientID", "") or "").strip()
    return f"{issuer}\0{patient}" if patient else None
