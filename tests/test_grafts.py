"""Grafts: where a finding is seen, how its region is laid into another film, and which film that is."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from tests.diffusion_cases import CLASSES, CPU, SAMPLING, label_table, run
from tests.tiny_base import SIZE
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.latents import shifted
from trcgl.diffusion.generator.prompts import guided_embeddings
from trcgl.diffusion.generator.rows import TrainingRows, training_rows
from trcgl.diffusion.generator.saved import Generator, load_generator
from trcgl.diffusion.sampling import contact, grafted_plan
from trcgl.diffusion.sampling.contact import real_beside_synthetic
from trcgl.diffusion.sampling.finding_map import NOISED, finding_map
from trcgl.diffusion.sampling.graft import brightness, graft, region_of, soft_edged, surrounding
from trcgl.diffusion.sampling.grafted_plan import Regions, find_share, map_of, plan_grafts, regions_seen
from trcgl.diffusion.sampling.plan import Sample, plan_samples
from trcgl.diffusion.sampling.sample import draw
from trcgl.diffusion.sampling.samples_file import write_samples
from trcgl.runtime.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")
TARGET = "azygos lobe"
GRAFTED = replace(SAMPLING, carriers="grafted", label_sets="single", strength=0.0, images_per_finding=12)


# Where the finding is seen


class Blocks:
    """An autoencoder whose latents are the means of blocks of 4 x 4 pixels, from -1000 (black) to 1000."""

    device, dtype = CPU, torch.float32
    config = SimpleNamespace(in_channels=1, scaling_factor=1000.0)

    def encode(self, pixels: Tensor) -> Any:
        means = torch.nn.functional.avg_pool2d(pixels, 4)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: means))


class SeesBright:
    """A U-Net to which a prompt of ones says more, where the film is bright, than one of zeros."""

    device, dtype = CPU, torch.float32

    def __init__(self) -> None:
        self.times: list[int] = []

    def __call__(self, seen: Tensor, time: Tensor, encoder_hidden_states: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.times.append(int(time))
        return (seen + encoder_hidden_states.mean(dim=(1, 2)).view(-1, 1, 1, 1) * seen.relu(),)


@pytest.mark.parametrize("batch", [16, 5])
def test_the_map_is_finer_than_a_place_of_the_latents(batch: int) -> None:
    """Averaged over all moves by parts of a place, a pixel of the film has the weights 1 2 3 4 3 2 1 along each side.

    Black is -1 and a white pixel's block turns bright only as far as it is white; here all of a block is, or none.
    """
    unet = SeesBright()
    pipeline = SimpleNamespace(vae=Blocks(), unet=unet, scheduler=DDIMScheduler(), vae_scale_factor=4)
    film = np.zeros((32, 32), np.uint8)
    film[9:21, 14:26] = 255
    found = finding_map(pipeline, film, torch.ones(1, 3, 8), torch.zeros(1, 3, 8), batch=batch, image="a.png")
    assert found.dtype == np.float32
    assert set(unet.times) == {round(share * 999) for share in NOISED}
    kept = np.sqrt([float(pipeline.scheduler.alphas_cumprod[round(share * 999)]) for share in NOISED]).sum()
    expected = np.zeros((32, 32))
    for right in range(4):
        for down in range(4):
            moved = np.roll(film, (down, right), axis=(0, 1)).astype(np.float32) / 127.5 - 1
            blocks = cv2.resize(moved, (8, 8), interpolation=cv2.INTER_AREA).clip(0)
            expected += np.roll(np.kron(blocks, np.ones((4, 4))), (-down, -right), axis=(0, 1)) / 16
    assert np.abs(found / (1000 * kept) - expected).max() < 0.01
    # A single map knows whole places: the square's corner at (9, 14) lies inside one
    assert expected[9, 14] > 3 * expected[8, 13]


def test_prompts_that_say_the_same_have_no_region() -> None:
    pipeline = SimpleNamespace(vae=Blocks(), unet=SeesBright(), scheduler=DDIMScheduler(), vae_scale_factor=4)
    film, same = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32), torch.ones(1, 3, 8)
    found = finding_map(pipeline, film, same, same, batch=16, image="a.png")
    assert not found.any()
    assert not region_of(found, 0.4).any()


def test_a_prediction_that_is_not_finite_names_film_and_precision() -> None:
    unet = SeesBright()
    pipeline = SimpleNamespace(vae=Blocks(), unet=unet, scheduler=DDIMScheduler(), vae_scale_factor=4)
    broken = torch.full((1, 3, 8), float("nan"))
    with pytest.raises(InputError, match=r"prediction for image 'a.png' is not finite in float32; lower 'diffusion"):
        finding_map(pipeline, noise(0, 32), broken, torch.zeros(1, 3, 8), batch=16, image="a.png")


def test_a_region_begins_at_its_share_of_the_most() -> None:
    """Three squares: of the film's most, of half of it, and of a quarter."""
    differences = np.full((64, 64), 0.2, np.float32)
    places = [slice(4, 16), slice(26, 38), slice(48, 60)]
    for place, height in zip(places, (1.0, 0.5, 0.25), strict=True):
        differences[place, 20:40] += height
    for threshold, expected in ((0.7, [True, False, False]), (0.4, [True, True, False]), (0.2, [True, True, True])):
        region = region_of(differences, threshold)
        assert [bool(region[place, 24:36].all()) for place in places] == expected
        assert [bool(region[place, 24:36].any()) for place in places] == expected
    # Half of the height is reached at the square's own edge, which is then widened by 2 pixels of 64
    assert region_of(differences, 0.52)[14:20, 30].tolist() == [True] * 4 + [False] * 2
    assert region_of(differences * 3, 0.4).tolist() == region_of(differences, 0.4).tolist()


# How it is laid into another film


def square(size: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[low:high, low:high] = True
    return mask


def noise(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)


def test_a_graft_changes_the_region_alone_and_takes_on_the_carriers_grey_levels() -> None:
    """The film is the carrier in other grey levels, with a bright square; in the carrier the square has its levels."""
    carrier = cv2.GaussianBlur(noise(0, 64), (0, 0), 3).astype(np.float32)
    carrier = 60 + 2.0 * (carrier - carrier.min())
    film, lesion = (carrier - 20) / 1.25, square(64, 24, 40)
    film[lesion] += 30
    carrier, film = (np.rint(picture).astype(np.uint8) for picture in (carrier, film))
    share = soft_edged(square(256, 92, 164), 64)
    assert share.dtype == np.float32
    assert ((share > 0) & (share < 1)).any()
    factor, offset, misfit = brightness(carrier, film, surrounding(share))
    assert (factor, offset) == (pytest.approx(1.25, abs=0.03), pytest.approx(20, abs=3))
    assert misfit < 0.05
    grafted = graft(carrier, film, share)
    np.testing.assert_array_equal(grafted[share == 0], carrier[share == 0])
    gained = grafted.astype(float) - carrier
    assert gained[26:38, 26:38] == pytest.approx(1.25 * 30, abs=3)


@pytest.mark.parametrize("size", [64, 128])
def test_lengths_are_shares_of_the_side(size: int) -> None:
    factor = size // 64
    share = soft_edged(square(256, 96, 160), size)
    assert share[28 * factor : 36 * factor, 28 * factor : 36 * factor].min() > 0.99
    assert not share[: 20 * factor].any()
    around = surrounding(share)
    assert not (around & (share > 0)).any()
    rows = np.flatnonzero(around.any(axis=1)) / factor
    assert (rows[0], rows[-1]) == (pytest.approx(13, abs=1.5), pytest.approx(50.5, abs=1.5))


# Which film it is laid into


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ShardedImages:
    """Smooth noise, 0.png to 11.png; 7.png is 1.png in other grey levels but for its middle."""
    folder = tmp_path_factory.mktemp("films")
    pictures = [cv2.GaussianBlur(noise(i, SIZE), (0, 0), 2) for i in range(12)]
    pictures[7] = np.rint(pictures[1] * 0.8 + 10).astype(np.uint8)
    pictures[7][6:10, 6:10] = 0
    writer = ShardWriter(folder, SIZE, 8)
    for i, picture in enumerate(pictures):
        writer.add(f"{i}.png", picture)
    writer.close()
    return ShardedImages(folder)


@pytest.fixture(scope="module")
def rows(images: ShardedImages) -> TrainingRows:
    return training_rows(label_table(), CLASSES, list(images.index["image"]))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory, rows: TrainingRows, images: ShardedImages) -> Generator:
    return load_generator(run(tmp_path_factory.mktemp("grafts") / "model", rows, images), CPU)


def middle() -> Regions:
    return Regions(lambda row, finding: soft_edged(square(SIZE, 5, 11), SIZE))


def planned(rows: TrainingRows, generator: Generator, images: ShardedImages, **changes: Any) -> list[Sample]:
    return plan_grafts(rows, generator.card, replace(GRAFTED, **changes), images, middle())


def test_each_film_gives_its_region_once_before_one_gives_it_again(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    plan = planned(rows, generator, images)
    having = {rows.images[row] for row in rows.carriers[TARGET]}
    sources = [str(sample.source) for sample in plan]
    assert len(having) == 5
    assert set(sources[:5]) == set(sources[5:10]) == having
    assert planned(rows, generator, images, images_per_finding=7) == plan[:7]
    assert len({sample.seed for sample in plan}) == len(plan)


def test_the_carrier_is_another_patients_in_the_same_view(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    """2.png (PA) and 7.png (L) have no finding; each patient has two films: 0 and 1, 2 and 3, ..."""
    assert rows.normal.tolist() == [2, 7]
    view = dict(zip(rows.images, rows.projections, strict=True))
    for sample in planned(rows, generator, images):
        assert sample.carrier.image == ("2.png" if view[str(sample.source)] == "PA" else "7.png")
    alone = replace(rows, normal=np.array([7]))
    assert {sample.carrier.image for sample in planned(alone, generator, images)} == {"7.png"}
    same = replace(rows, patients=("P0",) * len(rows.images))
    with pytest.raises(InputError, match=r"but all training images without a finding are of the patient of '\d"):
        planned(same, generator, images)
    with pytest.raises(InputError, match=r"'sampling.carriers' is grafted, but every training image has a finding"):
        planned(replace(rows, normal=rows.normal[:0]), generator, images)
    assert planned(replace(rows, normal=rows.normal[:0], carriers={}), generator, images) == []


def test_of_several_films_the_most_alike_around_the_region_is_taken(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    """7.png is 1.png, but for the region and for grey levels that are fitted anyway."""
    many = replace(
        rows, normal=np.array([2, 3, 6, 7]), projections=("L",) * len(rows.images),
        carriers={TARGET: np.array([1])}, patients=tuple(rows.images),
    )  # fmt: skip
    assert planned(many, generator, images)[0].carrier.image == "7.png"
    other = replace(many, carriers={TARGET: np.array([8])})
    assert planned(other, generator, images)[0].carrier.image != "7.png"


def test_a_region_is_laid_into_a_film_once_as_long_as_there_are_others(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    many = replace(
        rows, normal=np.array([2, 3, 6, 7]), projections=("L",) * len(rows.images),
        carriers={TARGET: np.array([1, 5])}, patients=tuple(rows.images),
    )  # fmt: skip
    plan = planned(many, generator, images)
    for source in ("1.png", "5.png"):
        carriers = [sample.carrier.image for sample in plan if sample.source == source]
        assert set(carriers[:4]) == {"2.png", "3.png", "6.png", "7.png"}
        assert len(carriers) == 6


def test_a_graft_is_labelled_with_its_target_alone(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    """What else the film has, or either film's labels leave open, may be in the region or around it."""
    for sample in planned(rows, generator, images):
        source, carrier = (rows.images.index(image) for image in (str(sample.source), sample.carrier.image))
        assert sample.findings == (TARGET,)
        open_ = "effusion" in (*rows.findings[source], *rows.unknown[source], *rows.unknown[carrier])
        assert sample.unknown == (("effusion",) if open_ else ())
    assert {sample.unknown for sample in planned(rows, generator, images)} == {(), ("effusion",)}


def test_a_finding_that_is_seen_nowhere_stops_with_the_film(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    nowhere = Regions(lambda row, finding: np.zeros((SIZE, SIZE), np.float32))
    with pytest.raises(InputError, match=r"cannot locate 'azygos lobe' in image '\d.png' .*; raise 'diffusion\.steps'"):
        plan_grafts(rows, generator.card, GRAFTED, images, nowhere)


def test_processes_share_the_regions_and_the_next_run_finds_them(
    rows: TrainingRows, generator: Generator, images: ShardedImages, tmp_path: Path
) -> None:
    asked: list[tuple[int, str]] = []

    def find(row: int, finding: str) -> np.ndarray:
        asked.append((row, finding))
        return soft_edged(square(SIZE, 5, 11), SIZE)

    for process in range(2):
        find_share(Regions(find, tmp_path), rows, GRAFTED, process=process, processes=2)
    assert sorted(asked) == sorted((int(row), TARGET) for row in rows.carriers[TARGET])
    # One is damaged by a crash: it alone is found again, and the plan is that of one process without a folder
    damaged = sorted(tmp_path.glob("region-*.npz"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-30])
    regions = Regions(find, tmp_path)
    assert plan_grafts(rows, generator.card, GRAFTED, images, regions) == planned(rows, generator, images)
    assert len(asked) == 6
    np.testing.assert_array_equal(regions["1.png", TARGET], np.rint(find(1, TARGET) * 255).astype(np.float32) / 255)
    find_share(Regions(find, tmp_path), rows, replace(GRAFTED, carriers="own", strength=0.5))
    # Without films to lay them into, no hour is spent on regions
    with pytest.raises(InputError, match=r"every training image has a finding .* 'labels.not_findings' says which"):
        find_share(Regions(find, tmp_path / "new"), replace(rows, normal=rows.normal[:0]), GRAFTED)
    assert len(asked) == 7


def test_running_out_of_memory_while_finding_regions_names_what_to_lower(
    rows: TrainingRows, generator: Generator, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*inputs: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(grafted_plan, "finding_map", full)
    with pytest.raises(InputError, match=r"out of memory; lower 'sampling.micro_batch'"):
        find_share(regions_seen(generator, rows, images, GRAFTED), rows, GRAFTED)


# Both together


def test_grafts_are_drawn_from_or_left_as_they_are(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    params = replace(GRAFTED, shift=0.2, region_threshold=0.6)
    regions = regions_seen(generator, rows, images, params)
    plan = plan_grafts(rows, generator.card, params, images, regions)
    made = draw(generator, plan, params, images, regions)
    assert made.shape == (12, SIZE, SIZE)
    for sample, picture in zip(plan, made, strict=True):
        carrier, film = images.read([sample.carrier.image, str(sample.source)])
        share = regions[str(sample.source), TARGET]
        assert 0 < (share > 0).mean() < 1
        expected = shifted(graft(carrier, film, share), sample.carrier.right, sample.carrier.down)
        np.testing.assert_array_equal(picture, expected)
    drawn = draw(generator, plan[:2], replace(params, strength=0.5), images, regions)
    assert not np.array_equal(drawn, made[:2])
    plain = [replace(sample, source=None) for sample in plan[:2]]
    assert not np.array_equal(drawn, draw(generator, plain, replace(params, strength=0.5), images))


def test_regions_depend_on_the_film_and_the_finding_alone(
    rows: TrainingRows, generator: Generator, images: ShardedImages
) -> None:
    params: SamplingParams = GRAFTED
    there, back = (regions_seen(generator, rows, images, params) for _ in range(2))
    order = [int(row) for row in rows.carriers[TARGET]]
    for regions, each in ((there, order), (back, order[::-1])):
        for row in each:
            regions.add(rows, row, TARGET)
    for row in order:
        np.testing.assert_array_equal(there[rows.images[row], TARGET], back[rows.images[row], TARGET])


def test_the_two_prompts_differ_in_the_finding_alone(
    rows: TrainingRows, generator: Generator, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.png is PA and has both findings."""
    given: list[Any] = []
    monkeypatch.setattr(grafted_plan, "finding_map", lambda pipeline, *asked, **_: given.extend(asked))
    map_of(generator, rows, images, 0, TARGET, GRAFTED)
    texts = [f"chest X-ray, PA view, pleural effusion{more}" for more in (", azygos lobe", "")]
    told, _ = guided_embeddings(generator.pipeline, generator.tokens, texts, [("effusion", TARGET), ("effusion",)])
    film, with_it, without = given
    np.testing.assert_array_equal(film, images.read(["0.png"])[0])
    assert torch.equal(torch.cat([with_it, without]), told)


def test_another_seed_plans_other_images(rows: TrainingRows, generator: Generator, images: ShardedImages) -> None:
    many = replace(SAMPLING, images_per_finding=12, carriers="normal", strength=0.8, shift=0.2)
    plans = [plan_samples(rows, generator.card, replace(many, seed=seed)) for seed in (5, 6)]
    grafts = [planned(rows, generator, images, seed=seed, shift=0.2) for seed in (5, 6)]
    for one, other in (plans, grafts):
        assert not {sample.seed for sample in one} & {sample.seed for sample in other}
        assert [sample.carrier for sample in one] != [sample.carrier for sample in other]
    assert [sample.source for sample in grafts[0]] != [sample.source for sample in grafts[1]]


def test_the_picture_shows_each_finding_beside_its_own_images(
    rows: TrainingRows, generator: Generator, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(contact, "save_figure", lambda figure, *_, **__: figures.append(figure))
    many = replace(rows, carriers=rows.carriers | {"effusion": np.array([0, 3])})
    plan = plan_samples(many, generator.card, SAMPLING)
    pixels = np.random.default_rng(0).integers(0, 256, (len(plan), SIZE, SIZE), dtype=np.uint8)
    write_samples(tmp_path / "synthetic", plan, pixels, SIZE)
    real_beside_synthetic(tmp_path / "x.png", many, images, plan, ShardedImages(tmp_path / "synthetic"))
    shown = [np.asarray(axes.images[0].get_array()) for axes in figures[0].axes if axes.images]
    expected = [
        *images.read(["0.png", "1.png", "4.png", "5.png"]),
        *pixels[:3],
        *images.read(["0.png", "3.png"]),
        *pixels[3:],
    ]
    np.testing.assert_array_equal(shown, expected)
    titles = [axes.get_title(loc="left") for axes in figures[0].axes if axes.get_title(loc="left")]
    assert titles == [
        f"{TARGET}: 5 real training images",
        "3 synthetic",
        "effusion: 2 real training images",
        "3 synthetic",
    ]
