"""The committed comparison's page says what was measured, where, and what it is not."""

import re

import pytest
from PIL import Image
from pydantic import ValidationError

from suite.page import PAGE, render
from suite.picture import draw_clicks
from suite.schema import Suite
from suite.tables import hours
from uniultra.errors import RequestError
from uniultra.models.counting import count


@pytest.fixture(scope="module")
def suite(project_root):
    return Suite.model_validate_json((project_root / "training/results/suite_seeds.json").read_bytes())


def lines_of(page, heading):
    """The table lines under a bold heading or section, until the next."""
    part = page.split(heading, 1)[1].lstrip("\n")
    return [line.split(" | ") for line in part.split("\n\n")[0].splitlines()]


def changed(suite, part, name, **changes):
    """The suite with one of its bases or systems changed."""
    items = [one.model_copy(update=changes) if one.name == name else one for one in getattr(suite, part)]
    return suite.model_copy(update={part: items})


def test_a_file_that_names_what_it_does_not_describe_is_refused(suite):
    data = suite.model_dump()
    data["runs"][0]["system"] = "medsam"
    data["systems"][0]["base"] = "sam_x"
    with pytest.raises(ValidationError, match="medsam, sam_x"):
        Suite.model_validate(data)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Suite.model_validate({**suite.model_dump(), "surprise": 1})


def test_the_page_holds_every_systems_numbers(suite):
    page = render(suite)
    part = page.split("### Test set busi_breast")[1]
    table = lines_of(part, "**Dice**")
    assert table[0][0] == "| system" and table[0][1] == "1 click" and table[0][-1].startswith("no prompt, la")
    bases = [f"| {b.name}, not adapted" for b in suite.bases]
    assert [line[0] for line in table[2:]] == bases + [f"| {s.title}" for s in suite.systems]
    score = next(s for s in suite.summaries[0].scores if s.dataset == "busi_breast").prompts["box"].dice
    assert table[2 + len(bases)][4] == f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]"
    free = next(line for line in table if line[0] == "| AutoSAMUS on UniUltra")
    assert free[1:6] == ["–"] * 5 and free[6] != "–"  # noqa: RUF001
    clicks = [line[0] for line in lines_of(part, "**Clicks needed**")[2:]]
    assert "| UniUltra" in clicks and "| AutoSAMUS on UniUltra" not in clicks


def test_what_was_adapted_to_comes_before_what_may_be_forgotten(suite):
    sets = re.findall("### Test set (.*)", render(suite))
    assert sets[0] == suite.tasks[0].name and len(sets) == 3


def test_the_page_says_what_it_cost_and_where_a_budget_was_cut(suite):
    noted = changed(suite, "systems", "uniultra_mini", method="adapter | decoder", note="half the budget")
    protocol = suite.protocol.model_copy(update={"until": 0.9})
    page = render(noted.model_copy(update={"protocol": protocol}))
    assert "37,352" in page and "24, stopped by the clock" in page and "half the budget" in page
    assert "600 images seen per run, at most 15 min each" in page and f"commit {suite.commit}" in page
    assert "Clicking stops at an IoU of 90 %" in page and "Clicking stops" not in render(suite)
    assert r"adapter \| decoder" in page


def test_published_networks_are_set_apart_from_our_bases(suite):
    words = "published network, scored as it is"
    assert words not in render(suite)
    untrained = suite.bases[0].spent.model_copy(update={"images_seen": 0})
    assert words in render(changed(suite, "bases", "mobile_sam", spent=untrained))


def test_a_difference_is_marked_by_its_interval(suite):
    page = render(suite)
    assert re.search(r"dice of UniUltra minus decoder only \| -0\.\d+ \[-0\.\d+, -0\.\d+\] \| yes \|", page)
    assert "### Differences" not in render(suite.model_copy(update={"comparisons": []}))


def test_the_papers_own_tables_stand_beside_it_with_what_differs(suite):
    page = render(suite)
    assert {"83.05 / 28.82", "84.54 / 27.24", "93.08 / 87.35"} <= set(
        re.findall(r"\d+\.\d+ / \d+\.\d+", page)
    )
    assert {"8.91 %", "94.08 %", "3.88 %", "94.39 %"} <= set(re.findall(r"\d+\.\d+ %", page))
    assert page.count("Source: ") == 7
    assert "does not say how good the published models are" in page.replace("\n", " ").replace("**", "")
    table = lines_of(page, "why the numbers cannot be set side by side")
    assert len(table) == 8 + 2 and all(line[-1].strip(" |") for line in table[2:])
    assert "hc18_fetal_head, dltrack_aponeurosis, synthetic scenes; then busi_breast" in page


def test_every_table_of_the_page_is_square(suite):
    for block in render(suite).split("\n\n"):
        if block.startswith("|"):
            bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(bars) == 1, block


def test_the_claims_follow_from_their_counts():
    """The arithmetic of the two figures, from the numbers in their explanations and the built networks."""

    def numbers(text):
        return [float(n) for n in re.findall(r"(?<![\w-])\d+\.\d+", text)]

    claims = [line for line in PAGE.template.splitlines() if re.match(r"\| (trains|the student)", line)]
    (_, how, expected), (_, how_small, expected_small) = (line.split(" | ") for line in claims)
    trained, whole, share, adapters, rest, _ = numbers(how)
    assert adapters == pytest.approx(count("uniultra_l").parameters_adapter / 1e6, abs=5e-4)
    assert adapters + rest == pytest.approx(trained)
    assert share == pytest.approx(100 * trained / whole, abs=5e-4)
    assert numbers(expected) == [pytest.approx(100 * adapters / whole, abs=5e-3)]
    student, encoder, smaller = numbers(how_small)
    assert encoder == pytest.approx(count("sam2_l").parameters_encoder / 1e6, abs=5e-4)
    assert smaller == pytest.approx(100 * (1 - student / encoder), abs=1e-3)
    teacher, honest, small_encoder, honest_encoder = numbers(expected_small)
    assert honest == pytest.approx(100 * (1 - student / teacher), abs=5e-3)
    assert honest_encoder == pytest.approx(100 * (1 - small_encoder / encoder), abs=5e-3)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_picture_is_drawn_and_the_same_each_time(suite, tmp_path, ending):
    pytest.importorskip("matplotlib")
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    for path in (first, second):
        assert draw_clicks(suite, "busi_breast", "busi_breast", path)
    assert first.read_bytes() == second.read_bytes()
    if ending == ".svg":
        text = first.read_text()
        for words in ("UniUltra", "LoRA", "AutoSAMUS (no prompt)", "mean Dice"):
            assert f">{words}</text>" in text
    else:
        with Image.open(first) as drawn:
            assert drawn.size == (1125, 675) and len(set(drawn.convert("RGB").getdata())) > 50


def test_there_is_no_picture_of_nothing(suite, tmp_path):
    assert draw_clicks(suite, "busi_breast", "kidney", tmp_path / "a.svg") is False
    assert not list(tmp_path.iterdir())
    with pytest.raises(RequestError, match=r"\.svg or \.png"):
        draw_clicks(suite, "busi_breast", "busi_breast", tmp_path / "a.gif")
    with pytest.raises(RequestError, match="one of busi_breast"):
        draw_clicks(suite, "kidney", "busi_breast", tmp_path / "a.svg")


def test_lengths_of_time_are_written_for_people():
    assert [hours(s) for s in (90, 600, 9000)] == ["90 s", "10 min", "2.5 h"]
