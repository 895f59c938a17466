"""The labels of a campaign for others: pictures with COCO, volumes, and a manifest to train from."""

from uniultra.store.exports.labelled import LabelStructure
from uniultra.store.exports.run import FORMATS, ExportChoices, Exported, export

__all__ = ["FORMATS", "ExportChoices", "Exported", "LabelStructure", "export"]
