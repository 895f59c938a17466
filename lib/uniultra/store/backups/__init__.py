"""A campaign as one archive, and back."""

from uniultra.store.backups.restore import Restored, restore
from uniultra.store.backups.save import Saved, save

__all__ = ["Restored", "Saved", "restore", "save"]
