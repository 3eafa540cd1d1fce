"""Disk, device, threads, and the state of DVC."""

import configparser
import json
from collections.abc import Iterator
from pathlib import Path

import psutil

from trcgl.config import ComputeParams, Params
from trcgl.doctor.repository import conflicts
from trcgl.doctor.said import Said, problem
from trcgl.runtime.cores import usable_cores
from trcgl.runtime.disk import existing, free_bytes, size_text
from trcgl.runtime.errors import InputError
from trcgl.runtime.resume_folder import resume_root
from trcgl.runtime.settings import read_yaml

COPYING = ("reflink", "copy")
SAVED = Path("data/images")


def check_disk(params: Params, images: int, drawn: int, phantom: int = 0) -> Said:
    """Whether cached and generated images fit; models (a few gigabytes with their optimiser states) are not included.

    An image takes one byte per pixel, in two sizes. DVC keeps an output in its cache as well as in the working copy.
    This takes twice the space if DVC copies, or may have to (whether a file system can clone is not known beforehand).
    """
    sizes = params.images
    pictures = images * (sizes.classifier_size**2 + sizes.diffusion_size**2) + drawn * sizes.diffusion_size**2 + phantom
    made = sum(file.stat().st_size for file in SAVED.glob("*/*.npy"))
    # Existing outputs are replaced, so their space is available; DVC's cache keeps its files
    places = {Path.cwd(): max(0, pictures - made)}
    cache, link = _dvc_cache()
    if link in COPYING:
        twice = pictures if made < pictures else 0
        same = existing(cache).stat().st_dev == Path.cwd().stat().st_dev
        if same:
            places[Path.cwd()] += twice
        else:
            places[cache] = twice
    for place, need in places.items():
        free = free_bytes(place)
        if need > free:
            return problem(
                "disk", f"{size_text(need)} of pictures are still to come but {place} has {size_text(free)} free; make "
                "room, lower images.*_size, or let DVC link (`dvc config cache.type hardlink`)",
            )  # fmt: skip
    parts = " and ".join(
        f"{size_text(need)} at {place} ({size_text(free_bytes(place))} free)" for place, need in places.items()
    )
    return Said("disk", f"pictures still need about {parts}; models come on top")


def _dvc_cache() -> tuple[Path, str]:
    """Folder of DVC's cache, and the first method that DVC tries to place a file in the working copy."""
    config = configparser.ConfigParser()
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    folder = config.get("cache", "dir", fallback="cache")
    link = config.get("cache", "type", fallback="reflink,copy").strip("'\"").split(",")[0].strip()
    # A relative path starts from the folder of the configuration file
    return Path(".dvc", folder.strip("'\"")).resolve(), link


def check_compute(compute: ComputeParams) -> Iterator[Said]:
    """Device, precision and threads that a run will have."""
    import torch

    from trcgl.numerics.device import name_of, pick_device, pick_dtype

    try:
        device = pick_device(compute.device)
        dtype = name_of(pick_dtype(device, compute.precision))
    except InputError as error:
        yield problem("device", error)
    else:
        name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
        yield Said("device", f"{compute.device}: {device}{name}; precision {compute.precision}: {dtype}")
    cores = usable_cores()
    if compute.threads > cores:
        yield problem(
            "compute.threads", f"{compute.threads}, but only {cores} cores can be used here; more threads than cores "
            "wait for each other (another number changes the last bits of a trained model)",
        )  # fmt: skip
    else:
        yield Said("threads", f"{compute.threads} of {cores} cores")


def check_dvc() -> Iterator[Said]:
    """Whether DVC can run here, and how far the pipeline is."""
    if not Path(".dvc").is_dir() or not Path("dvc.yaml").is_file():
        yield problem("dvc", f"{Path.cwd()} is not the project's folder (no .dvc, or no dvc.yaml); run from there")
        return
    try:
        stages = read_yaml("dvc.yaml")["stages"]
        locked = (read_yaml("dvc.lock") or {}).get("stages", {}) if Path("dvc.lock").exists() else {}
    except InputError as error:
        if not conflicts():
            yield problem("dvc", f"{error}; a kill has cut it short, or something else has damaged it: git checkout it")
        return
    busy = _running()
    if busy:
        yield problem("dvc", f"another DVC command runs here (process {', '.join(map(str, busy))}); wait for its end")
    outs = [(name, out["path"]) for name in stages for out in locked.get(name, {}).get("outs", [])]
    absent = [path for _, path in outs if not Path(path).exists()]
    text = f"{len(stages)} stages, {sum(name not in locked for name in stages)} never run"
    if absent:
        text += f"; {len(absent)} of {len(outs)} outputs are not here (`dvc checkout` takes them from the cache)"
    yield Said("dvc", text)


def check_kept_states() -> Iterator[Said]:
    """The resumable states that killed runs have left; those of other parameters or code will never be used."""
    folder = resume_root()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size:
        stages = ", ".join(sorted(path.name for path in folder.iterdir()))
        yield Said("kept states", f"{size_text(size)} in {folder} ({stages}); delete what need not be continued")


def _running() -> list[int]:
    """The processes that hold DVC's lock and are still alive."""
    try:
        held = json.loads(Path(".dvc/tmp/rwlock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    holders = [entry.get("write") or {} for entry in held.values()]
    holders += [reader for entry in held.values() for reader in entry.get("read") or []]
    return sorted({holder["pid"] for holder in holders if "pid" in holder and psutil.pid_exists(holder["pid"])})
