"""The auto-prompt generator: exact counts, a start at the base, and a base that tasks share untouched."""

import pytest
import torch

from uniultra.adapters import apg
from uniultra.adapters.cross_transformer import CrossTransformer, SoftmaxOneAttention
from uniultra.adapters.registry import matches
from uniultra.models import build, entry
from uniultra.networks.sam2_image import HIERA, Sam2Image
from uniultra.networks.sam_image import SamImage
from uniultra.networks.sam_vit import SamVit, VitSize
from uniultra.networks.tiny_vit import TinyVitEncoder
from uniultra.weights import bundle

SIDE = 64
RELEASED = apg.APGConfig(sparse="first", refine_output_tokens=False)
BASES = {
    "sam": lambda: SamImage(
        SamVit(SIDE, VitSize(width=32, depth=2, heads=2, global_blocks=(1,), window=3)), SIDE, 4
    ),
    "sam2": lambda: Sam2Image(HIERA["mini"], SIDE, 4),
}


@pytest.fixture(params=BASES)
def base(request):
    torch.manual_seed(0)
    return BASES[request.param]().eval()


@pytest.fixture
def picture():
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def moved(network):
    """Nothing at zero any more, so that every part has a say."""
    for parameter in network.apg.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_counts():
    with torch.device("meta"):
        parts = apg.APG(apg.APGConfig(), 6)
    assert sum(p.numel() for p in parts.generator.parameters()) == 8_491_776
    assert sum(p.numel() for p in parts.dense.parameters()) == 369_536


def test_softmax_one_lets_a_head_attend_to_nothing():
    torch.manual_seed(0)
    attention = SoftmaxOneAttention(16, 2, 4)
    tokens, others = torch.randn(3, 5, 16), torch.randn(3, 7, 16)
    heads = []
    keys, values = attention.kv(others).chunk(2, dim=-1)
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        scores = (attention.q(tokens)[..., own] @ keys[..., own].transpose(1, 2) / 2).exp()
        heads.append(scores / (1 + scores.sum(-1, keepdim=True)) @ values[..., own])
    torch.testing.assert_close(attention(tokens, others), attention.out(torch.cat(heads, dim=-1)))


def test_both_sides_attend_to_what_the_other_was():
    torch.manual_seed(0)
    layer = CrossTransformer(16, depth=1, heads=2, head_width=4, hidden=8)
    one, two = torch.randn(1, 3, 16), torch.randn(1, 4, 16)
    new_one, new_two = layer(one, two)
    assert torch.equal(new_one, layer.first[0](one, two)) and torch.equal(new_two, layer.second[0](two, one))


@torch.no_grad()
def test_starts_with_the_bases_embedding_tokens_and_no_mask(base, picture):
    network = apg.inject(base)
    embedding = network.encode(picture)
    tokens = apg.output_tokens(base.sam_mask_decoder)
    assert tokens.shape == (1, 6 if embedding.high else 5, 256)
    image, sparse, dense, refined = network.apg(embedding.image, tokens)
    assert torch.equal(image, embedding.image) and torch.equal(refined, tokens) and not dense.any()
    assert sparse.shape == (2, 50, 256)
    nothing = base.sam_prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand_as(image)
    logits, iou, _, _ = base.sam_mask_decoder(
        image_embeddings=embedding.image,
        image_pe=base.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=nothing,
        multimask_output=False,
        repeat_image=False,
        high_res_features=list(embedding.high) or None,
    )
    answer, score = network.decode(embedding)
    torch.testing.assert_close(answer, logits)
    torch.testing.assert_close(score, iou)


@torch.no_grad()
def test_one_mask_per_picture_whatever_the_prompts(base, picture):
    network = moved(apg.inject(base)).eval()
    embedding = network.encode(picture)
    logits, iou = network.decode(embedding)
    assert logits.shape == (2, 1, 16, 16) and iou.shape == (2, 1)
    prompted, _ = network.decode(embedding, torch.rand(2, 3, 2) * SIDE, torch.ones(2, 3), None, False)
    assert torch.equal(prompted, logits)
    alone, _ = network.decode(embedding.repeat(torch.tensor([1])))
    torch.testing.assert_close(alone, logits[1:], atol=1e-4, rtol=1e-4)
    assert network.decode(embedding, multimask=True)[0].shape == (2, 3, 16, 16)


def test_all_of_the_generator_learns_and_nothing_else(base, picture):
    network = moved(apg.inject(base)).train()
    logits, iou = network.decode(network.encode(picture))
    (logits.square().mean() + iou.mean()).backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {name for name, _ in network.named_parameters() if matches(name, apg.KIND.trains)}


def test_the_released_settings_leave_a_dead_part(base, picture):
    """Whatever only leads to the refined output tokens is computed in vain; the default uses them."""
    network = moved(apg.inject(base, RELEASED)).train()
    network.decode(network.encode(picture))[0].square().mean().backward()
    dead = {name for name, p in network.apg.named_parameters() if p.grad is None}
    assert dead == {
        name for name, _ in network.apg.named_parameters() if name.startswith("generator.tokens.second.1.")
    }


@torch.no_grad()
def test_refined_output_tokens_reach_the_decoder_and_leave_the_base_alone(base, picture):
    embedding = base.encode(picture)
    coords, labels = torch.rand(2, 1, 2) * SIDE, torch.ones(2, 1)
    before = base.decode(embedding, coords, labels)[0]
    network = moved(apg.inject(base)).eval()
    answer = network.decode(embedding)[0]
    assert torch.equal(base.decode(embedding, coords, labels)[0], before)
    kept = apg.inject(base, apg.APGConfig(refine_output_tokens=False)).eval()
    kept.apg.load_state_dict(network.apg.state_dict())
    assert not torch.allclose(kept.decode(embedding)[0], answer)


@torch.no_grad()
def test_object_tokens_are_a_setting(base, picture):
    for config, count_ in ((apg.APGConfig(object_tokens=1), 1), (RELEASED, 1), (apg.APGConfig(7), 7)):
        network = apg.inject(base, config)
        tokens = apg.output_tokens(base.sam_mask_decoder)
        assert network.apg(network.encode(picture).image, tokens)[1].shape == (2, count_, 256)


def test_tasks_share_their_base(base, picture):
    thyroid, breast = moved(apg.inject(base)).eval(), moved(apg.inject(base)).eval()
    assert thyroid.base is breast.base is base
    with torch.no_grad():
        embedding = thyroid.encode(picture)
        assert torch.equal(breast.encode(picture).image, embedding.image)
        assert not torch.allclose(thyroid.decode(embedding)[0], breast.decode(embedding)[0])
    assert {name.split(".")[0] for name in thyroid.state_dict()} == {"base", "apg"}


def test_the_base_stays_frozen_in_training(picture):
    base = SamImage(TinyVitEncoder(), SIDE, 4)
    network = apg.inject(base).train()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    network.encode(picture)
    assert network.apg.training and not base.training
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
    assert network.rates == {}


def test_the_encoder_can_be_trained_along(base, picture):
    network = moved(apg.inject(base, apg.APGConfig(unfreeze_encoder=True))).train()
    network.decode(network.encode(picture))[0].square().mean().backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("base.image_encoder.") for name in learning)
    assert not any(name.startswith("base.sam_") for name in learning)
    (fragment, rate), *others = network.rates.items()
    slow = {name for name, _ in network.named_parameters() if matches(name, (fragment,))}
    assert slow == {f"base.image_encoder.{n}" for n, _ in base.image_encoder.named_parameters()}
    assert rate == 0.1 and not others


def test_a_bundle_holds_the_encoder_that_was_trained_along(tmp_path):
    def fresh():
        torch.manual_seed(0)
        return build("autosamus_mini", SIDE, apg.APGConfig(unfreeze_encoder=True)).eval()

    network, picture = moved(fresh()), torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        for parameter in network.image_encoder.parameters():
            parameter += 0.01
        bundle.save(tmp_path / "task", network, "autosamus_mini", config=network.config)
        described, _ = bundle.describe(tmp_path / "task")
        assert described.config["unfreeze_encoder"] is True
        twin = fresh()
        bundle.load(tmp_path / "task", twin)
        assert torch.equal(twin.decode(twin.encode(picture))[0], network.decode(network.encode(picture))[0])


def test_models_without_prompts_say_so():
    for name in ("autosamus", *(f"autosamus_{size}" for size in HIERA)):
        assert entry(name).prompts == () and entry(name).system == "autosamus"
        assert entry(name).image_size == entry(entry(name).base).image_size
        assert (
            entry(name)
            .normalise(torch.rand(1, 3, 2, 2, generator=torch.manual_seed(0)))
            .equal(entry(entry(name).base).normalise(torch.rand(1, 3, 2, 2, generator=torch.manual_seed(0))))
        )
    assert isinstance(build("autosamus_mini", SIDE), apg.AutoNetwork)


@pytest.mark.parametrize("refine", [True, False])
def test_folded_it_answers_alike_with_half_of_its_parameters(base, picture, refine):
    network = apg.inject(base, apg.APGConfig(refine_output_tokens=refine))
    folded = apg.fold(moved(network).eval())
    embedding = network.encode(picture)
    for ours, theirs in zip(folded.decode(embedding), network.decode(embedding), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    before, after = (sum(p.numel() for p in n.apg.parameters()) for n in (network, folded))
    assert after < 0.53 * before


def test_a_folded_bundle_comes_back(tmp_path):
    network = apg.fold(build("autosamus_mini", 64).eval())
    path = tmp_path / "head"
    bundle.save(path, network, "autosamus_mini", config=network.config)
    again = build("autosamus_mini", 64, apg.APGConfig(folded=True)).eval()
    again.base.load_state_dict(network.base.state_dict())
    bundle.load(path, again)
    embedding = network.encode(torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(again.decode(embedding)[0], network.decode(embedding)[0])
