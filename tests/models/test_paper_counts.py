"""The paper's percentages come out of counted networks, with the comparisons they leave out beside them."""

from dataclasses import astuple

import pytest

from uniultra.models.paper_counts import parts, smaller_shares, trained_shares


def test_the_parts_are_those_of_the_specification():
    mini, large = parts("mini"), parts("l")
    assert (large.encoder, large.adapter) == (212_703_280, 9_071_932)
    assert (mini.adapter, mini.kernels, mini.adapted_encoder) == (37_352, 12 * 576, 864_520)
    for rounded, exact in (
        (11.727, large.outside),
        (233.530, large.whole),
        (224.430, large.sam2),
        (12.591, mini.whole),
        (5.086, mini.adapted_encoder + mini.decoder),
    ):
        assert exact / 1e6 == pytest.approx(rounded, abs=5e-4)
    assert sum(astuple(large)) == large.whole


def test_8_91_per_cent_are_adapters_and_all_that_stands_outside_the_encoder():
    published, stills, adapters = trained_shares()
    assert published.published and (published.part, published.whole) == (20_798_782, 233_529_710)
    assert f"{published.percent:.2f}" == "8.91"
    assert stills.part == 13_293_517 and not stills.published  # what gradients reach on still images
    assert f"{adapters.percent:.2f}" == "3.88"


def test_94_08_per_cent_compare_a_whole_network_with_an_encoder():
    published, whole, encoders, stills = smaller_shares()
    assert published.published and (published.part, published.whole) == (12_591_370, 212_703_280)
    assert f"{published.percent:.2f}" == "94.08"
    assert (f"{whole.percent:.2f}", f"{encoders.percent:.2f}") == ("94.39", "99.59")
    assert whole.part == published.part and encoders.whole == published.whole
    assert f"{stills.percent:.2f}" == "97.66"


def test_only_the_papers_own_numbers_are_called_published():
    found = trained_shares() + smaller_shares()
    assert sum(share.published for share in found) == 2
    assert len({share.name for share in found}) == len(found)


def test_the_command_prints_them(capsys):
    from uniultra.cli.main import main

    assert main(["models", "--published"]) == 0
    said = capsys.readouterr().out
    assert all(number in said for number in ("8.91 %", "3.88 %", "94.08 %", "94.39 %", "99.59 %"))
