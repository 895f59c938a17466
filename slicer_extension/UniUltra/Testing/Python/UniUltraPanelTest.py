"""Runs in Slicer (ctest, or `Slicer --testing --python-script`): the panel without a server."""

from __future__ import annotations

import unittest

import slicer


class UniUltraPanelTest(unittest.TestCase):
    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def test_panel(self) -> None:
        from UniUltraLib.panel.selftest import check_panel

        check_panel()

    def test_closing_in_the_middle(self) -> None:
        from UniUltraLib.panel.selftest import check_panel

        for _ in range(2):
            check_panel()


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(UniUltraPanelTest)
    passed = unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful()
    slicer.util.exit(0 if passed else 1)
