"""IoU head: the lowest predicted IoU first. No evidence for it is published."""

from uniultra.active.strategies.ranked import by_score

STRATEGY = by_score("Where the model predicts its own worst IoU", "iou", smallest=True)
