"""A comparison survives its file, and its page says what was measured, where, and what it is not."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from suite import papers
from suite.page import render
from suite.picture import draw_clicks
from suite.schema import (
    Base,
    Comparison,
    MaskScore,
    PictureScore,
    Protocol,
    Run,
    Spent,
    Suite,
    Summary,
    System,
    Task,
)
from suite.summary import compare, summarise
from suite.tables import hours
from uniultra.errors import RequestError
from uniultra.evaluate.machine import this_machine
from uniultra.evaluate.markdown import interval, millions
from uniultra.metrics.cost import Latency, Work
from uniultra.metrics.intervals import Estimate
from uniultra.models.counting import count

FREE = ("none", "none_largest")
ASKED = ("click_1", "click_3", "click_5", "box", "box_jitter")


def pictures(seed, level, prompts, dataset="liver_mass"):
    """Scores of six pictures of three patients, one more without a label."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(6):
        value = float(np.clip(level + rng.normal(0, 0.05), 0.01, 0.99))
        pitch = None if dataset == "liver_mass" else 0.2
        answer = MaskScore(dice=value, iou=value / (2 - value), hd95_px=9.0, hd95_mm=pitch and 9 * pitch)
        ious = tuple(np.linspace(0.4, value, 20)) if "click_1" in prompts else ()
        found.append(
            PictureScore(
                dataset=dataset,
                id=str(n),
                group=f"patient {n // 2}",
                answers=dict.fromkeys(prompts, answer),
                ious=ious,
                clicks=len(ious),
            )
        )
    marked = None if "click_1" in prompts else True
    return [*found, PictureScore(dataset=dataset, id="empty", group="empty", marked=marked)]


def system(name, title, paper, prompts, **more):
    return System(
        name=name,
        title=title,
        paper=paper,
        base="sam2_mini",
        method="adapter | decoder",
        prompts=prompts,
        image_size=256,
        parameters=5_000_000,
        trained=1_250_000,
        adapter=37_352,
        **more,
    )


@pytest.fixture(scope="module")
def suite():
    scores = {
        "uniultra_mini": [pictures(s, 0.8, ASKED) for s in (0, 1)],
        "lora_mini": [pictures(s, 0.6, ASKED) for s in (2, 3)],
        "autosamus_mini": [pictures(s, 0.5, FREE) for s in (4, 5)],
    }
    kept = pictures(6, 0.7, ASKED, "hc18_fetal_head")
    spent = Spent(images_seen=8000, seconds=1800, stopped_by="images")
    cut = Spent(images_seen=900, seconds=7300, stopped_by="clock")
    return Suite(
        made="2026-11-22",
        commit="abc1234",
        machine=this_machine(torch.device("cpu")),
        protocol=Protocol(until=0.9),
        images_planned=8000,
        seconds_cap=7200,
        bases=[
            Base(
                name="sam2_mini",
                image_size=256,
                parameters=5_000_000,
                datasets=("hc18_fetal_head", "busi_breast"),
                scenes=2000,
                seed=1,
                spent=spent,
                scores=summarise([pictures(7, 0.4, ASKED)], resamples=50),
            )
        ],
        tasks=[Task(name="liver_mass", labelled=16, tested=20, note="Divided at random.")],
        systems=[
            system("uniultra_mini", "UniUltra", "uniultra", ("point", "box"), work=Work(0.43, 0.14)),
            system(
                "lora_mini", "LoRA", "baseline", ("point", "box"), pace=Latency(0.03, 0.0101, "cpu", 2, 20)
            ),
            system("autosamus_mini", "AutoSAMUS", "autosamus", (), note="half the budget"),
        ],
        runs=[
            Run(
                system=name,
                task="liver_mass",
                seed=seed,
                spent=cut if name == "autosamus_mini" else spent,
                scores=summarise([run], 50),
            )
            for name, runs in scores.items()
            for seed, run in enumerate(runs)
        ],
        summaries=[
            Summary(
                system=name,
                task="liver_mass",
                seeds=(0, 1),
                scores=summarise(
                    [[*run, *kept] for run in runs] if name == "uniultra_mini" else runs, resamples=200
                ),
            )
            for name, runs in scores.items()
        ],
        comparisons=[
            Comparison(
                system="uniultra_mini",
                against="lora_mini",
                task="liver_mass",
                dataset="liver_mass",
                prompt="box",
                metric="dice",
                difference=compare(scores["uniultra_mini"], scores["lora_mini"], "liver_mass", "box", "dice"),
            )
        ],
    )


def lines_of(page, heading):
    """The table lines under a bold heading or section, until the next."""
    part = page.split(heading, 1)[1].lstrip("\n")
    return [line.split(" | ") for line in part.split("\n\n")[0].splitlines()]


def test_the_file_gives_back_what_was_written(suite):
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


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
    table = lines_of(page.split("### Test set liver_mass")[1], "**Dice**")
    assert table[0][0] == "| system" and table[0][1] == "1 click" and table[0][-1].startswith("no prompt, la")
    assert [line[0] for line in table[2:]] == [
        "| sam2_mini, not adapted",
        "| UniUltra",
        "| LoRA",
        "| AutoSAMUS",
    ]
    mine = suite.summaries[0].scores[0].prompts["box"].dice
    assert table[3][4] == f"{mine.mean:.3f} [{mine.low:.3f}, {mine.high:.3f}]"
    assert table[5][1:6] == ["–"] * 5 and table[5][6] != "–"  # noqa: RUF001
    assert "6 pictures (+1 with no label)." in page
    assert "AutoSAMUS marked something on 100 % of the pictures with no label." in page
    distance = lines_of(page.split("### Test set hc18_fetal_head")[1], "**HD95, px**")
    assert distance[2][1] == "9.0 [9.0, 9.0]; 1.80 [1.80, 1.80] mm"
    clicks = lines_of(page.split("### Test set liver_mass")[1], "**Clicks needed**")
    assert [line[0] for line in clicks[2:]] == ["| sam2_mini, not adapted", "| UniUltra", "| LoRA"]


def test_what_was_adapted_to_comes_before_what_may_be_forgotten(suite):
    page = render(suite)
    assert page.index("### Test set liver_mass") < page.index("### Test set hc18_fetal_head")


def test_the_page_says_what_it_cost_and_where_a_budget_was_cut(suite):
    page = render(suite)
    assert "1.25 M (25.0 %)" in page and "37,352" in page and "0.43 / 0.14" in page and "30 / 10.1" in page
    assert "900, stopped by the clock" in page and "half the budget" in page
    assert "8,000 images seen per run, at most 2.0 h each" in page
    assert "commit abc1234" in page and f"torch {torch.__version__.split('+')[0]}" in page
    assert "Clicking stops at an IoU of 90 %" in page
    assert r"adapter \| decoder" in page


def test_published_networks_are_told_apart_from_our_bases(suite):
    assert "published network, scored as it is" not in render(suite)
    theirs = suite.bases[0].model_copy(
        update={"name": "sam2_t", "spent": Spent(images_seen=0, seconds=0, stopped_by="images")}
    )
    page = render(suite.model_copy(update={"bases": [*suite.bases, theirs]}))
    assert "published network, scored as it is" in page and "| sam2_t, not adapted |" in page


def test_a_difference_is_marked_by_its_interval(suite):
    page = render(suite)
    assert re.search(r"dice of UniUltra minus LoRA \| 0\.\d+ \[0\.\d+, 0\.\d+\] \| yes \|", page)


def test_the_papers_own_tables_stand_beside_it_with_what_differs(suite):
    page = render(suite)
    for words in (
        "83.05 / 28.82",
        "84.54 / 27.24",
        "93.08 / 87.35",
        "8.91 %",
        "94.08 %",
        "3.88 %",
        "94.39 %",
    ):
        assert words in page
    assert page.count("Source: ") == len(papers.TABLES) + 1
    assert "does not say how good the published models are" in page.replace("\n", " ").replace("**", "")
    table = lines_of(page, "why the numbers cannot be set side by side")
    assert len(table) == len(papers.DIFFERENCES) + 2
    assert all(line[-1].strip(" |") for line in table[2:])
    assert "hc18_fetal_head, busi_breast, synthetic scenes; then liver_mass" in page


def test_every_table_of_the_page_is_square(suite):
    for block in render(suite).split("\n\n"):
        if block.startswith("|"):
            bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(bars) == 1, block


def test_the_claims_follow_from_their_counts():
    """The arithmetic of the two figures, from the numbers in their explanations and the built networks."""

    def numbers(text):
        return [float(n) for n in re.findall(r"(?<![\w-])\d+\.\d+", text)]

    (_, how, expected), (_, how_small, expected_small) = papers.UNIULTRA_CLAIMS
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


def test_published_tables_have_a_cell_for_every_column():
    for table in papers.TABLES:
        assert {len(line) for line in table.lines} == {len(table.header)}, table.title


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_picture_is_drawn_and_the_same_each_time(suite, tmp_path, ending):
    pytest.importorskip("matplotlib")
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    assert draw_clicks(suite, "liver_mass", "liver_mass", first)
    assert draw_clicks(suite, "liver_mass", "liver_mass", second)
    assert first.read_bytes() == second.read_bytes()
    if ending == ".svg":
        text = first.read_text()
        for words in ("UniUltra", "LoRA", "AutoSAMUS (no prompt)", "mean Dice"):
            assert f">{words}</text>" in text
    else:
        with Image.open(first) as drawn:
            assert drawn.size == (1125, 675) and len(set(drawn.convert("RGB").getdata())) > 50
    page = render(suite, {("liver_mass", "liver_mass"): "clicks.svg"})
    assert "![Dice against clicks on liver_mass](clicks.svg)" in page


def test_there_is_no_picture_of_nothing(suite, tmp_path):
    assert draw_clicks(suite, "liver_mass", "carotid_lumen", tmp_path / "a.svg") is False
    assert not list(tmp_path.iterdir())
    with pytest.raises(RequestError, match=r"\.svg or \.png"):
        draw_clicks(suite, "liver_mass", "liver_mass", tmp_path / "a.gif")
    with pytest.raises(RequestError, match="one of liver_mass"):
        draw_clicks(suite, "kidney", "liver_mass", tmp_path / "a.svg")


def test_numbers_are_written_for_people():
    assert interval(None) == "–"  # noqa: RUF001
    assert interval(Estimate(0.5, None, None, 1, 1, 1)) == "0.500"
    assert [hours(s) for s in (90, 600, 9000)] == ["90 s", "10 min", "2.5 h"]
    assert [millions(n) for n in (37_352, 2_968_900)] == ["37,352", "2.97 M"]
