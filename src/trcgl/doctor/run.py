"""All checks in the order of a run; a check that another's problem makes impossible is left out."""

from collections.abc import Iterator
from pathlib import Path

from trcgl.config import Params, load_params
from trcgl.diffusion.sampling.counts import images_of
from trcgl.doctor.boxes import check_boxes
from trcgl.doctor.findings import check_findings
from trcgl.doctor.images import (
    build_as_the_stage,
    check_labels,
    check_listing,
    check_manifest,
    check_sample,
    image_folder,
)
from trcgl.doctor.machine import check_compute, check_disk, check_dvc, check_kept_states
from trcgl.doctor.paths import check_paths
from trcgl.doctor.repository import check_repository
from trcgl.doctor.said import Said, problem, refused, warning
from trcgl.phantom.population import draw_population, training_quotas
from trcgl.phantom.render import SIZE
from trcgl.runtime.errors import InputError


def examine(file: Path) -> Iterator[Said]:
    """Yield the results of all checks of a params file in the current folder, one by one."""
    try:
        params = load_params(file)
    except InputError as error:
        yield problem("params", error)
        yield from check_repository()
        return
    yield Said("params", f"{file} is complete and valid")
    yield from check_paths(params)
    if params.diffusion.base is None:
        yield Said("diffusion.base", "null: stage one is left out, no image is drawn")
    yield from _data(params)
    yield from check_compute(params.compute)
    yield from check_repository()
    yield from check_dvc()
    yield from check_kept_states()


def _data(params: Params) -> Iterator[Said]:
    """Check images and labels, and the disk space for the outputs made from them."""
    folder = Path(params.dataset.images)
    if params.dataset.name == "phantom" and not Path(params.dataset.labels).exists():
        yield Said("dataset", "the phantom is not drawn yet; make_phantom does it")
        yield _space_of_phantom(params)
        return
    listing = image_folder(folder)
    if isinstance(listing, Said):
        yield listing
        if not Path(params.dataset.labels).exists():
            yield problem("dataset.labels", f"'{params.dataset.labels}' does not exist; set it to the label table")
        return
    yield from check_listing(folder, listing)
    names = listing.images
    yield check_manifest(params, names)
    labels = build_as_the_stage(params, names)
    if isinstance(labels, Said):
        yield labels
        return
    yield from check_labels(labels, names)
    yield check_sample(folder, labels.selected["path"].tolist())
    yield from check_boxes(params, labels)
    yield from check_findings(params, [entry["name"] for entry in labels.classes["classes"]])
    tail = [entry["positives"]["train"] for entry in labels.classes["classes"] if entry["group"] == "tail"]
    if params.diffusion.base is not None and not tail:
        yield warning(
            "labels.tail_findings",
            "no finding is tail, so the generator draws nothing and tail mAP has no value; name the rare findings, or "
            "set 'diffusion.base' to null",
        )
    drawn = sum(images_of(real, params.sampling) for real in tail) if params.diffusion.base is not None else 0
    yield check_disk(params, len(labels.selected), drawn)


def _space_of_phantom(params: Params) -> Said:
    """Space for a phantom that is not drawn yet: its films, their copies in two sizes, and the generated images."""
    phantom = params.dataset.phantom
    try:
        films, tail = draw_population(params.dataset.seed, phantom), training_quotas(phantom).values()
    except InputError as error:
        return refused("dataset.phantom", error)
    drawn = sum(images_of(real, params.sampling) for real in tail) if params.diffusion.base is not None else 0
    kept = sum(film.spoiled is None for film in films)
    # 16-bit files of noisy images hardly compress
    return check_disk(params, kept, drawn, phantom=2 * len(films) * SIZE**2)


def doctor(file: Path) -> None:
    """Print a line for every check.

    Raises:
        InputError: there are problems; each has been printed in its own line.
    """
    problems = 0
    for said in examine(file):
        print(said, flush=True)
        problems += said.problem
    if problems:
        raise InputError(f"{file}: {problems} {'problem' if problems == 1 else 'problems'}, see above")
