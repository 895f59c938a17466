"""The labels of a campaign for others: pictures with COCO, volumes, and a manifest to train from."""

from uniultra.store.exports.labelled import Structure
from uniultra.store.exports.run import FORMATS, Choices, Exported, export

__all__ = ["FORMATS", "Choices", "Exported", "Structure", "export"]
