"""Disturb the pipeline many times: `python -m tests.faults --kills 25`; about two minutes for five kills.

It uses tiny parameters; `--default` takes the shipped ones instead, half an hour on two cores: of two fresh clones of
the last commit one runs undisturbed, in the other each stage is killed once, and both must end with the same bits.

Exit code 1 if an out differs from the quiet run, or a disturbed project cannot be finished.
"""

import argparse
import itertools
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.faults.pipeline import (
    Quiet,
    can_mount,
    differences,
    disturb,
    drawn_moments,
    lock_hashes,
    new_project,
    repro,
    resize_disk,
    run_quietly,
    small_disk,
    used_megabytes,
)
from tests.two_clones import fresh_clone


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=25, help="SIGKILLs of the running stage with all its processes")
    parser.add_argument("--terms", type=int, default=5, help="SIGTERMs, which a stage may handle")
    parser.add_argument("--full-disks", type=int, default=5, help="runs on a disk that is too small, then made larger")
    parser.add_argument("--per-round", type=int, default=5, help="signals before a run is left to finish")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--default", action="store_true", help="with the shipped parameters, each stage killed once")
    options = parser.parse_args()
    if options.default:
        with tempfile.TemporaryDirectory() as name:
            return 0 if _every_stage(Path(name), options.seed) else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = new_project(folder / "start")
        project = folder / "quiet"
        shutil.copytree(start, project, symlinks=True)
        quiet = run_quietly(project)
        said = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in quiet.seconds.items())
        print(f"quiet run: {len(quiet.hashes)} outs; seconds: {said}", flush=True)
        size = sum(path.stat().st_size for path in project.rglob("*") if path.is_file()) / 2**20
        shutil.rmtree(project)
        good = _signals(start, quiet, options.kills, options.per_round, options.seed, signal.SIGKILL)
        good &= _signals(start, quiet, options.terms, options.per_round, options.seed + 1000, signal.SIGTERM)
        good &= _full_disks(start, quiet, options.full_disks, size, options.seed + 2000)
    return 0 if good else 1


def _every_stage(folder: Path, seed: int) -> bool:
    """Two clones with the shipped parameters; in one, each stage is killed once, at a random moment."""
    left_alone, disturbed = (fresh_clone(folder / name, {}) for name in ("left-alone", "disturbed"))
    quiet = run_quietly(left_alone)
    print(f"quiet run: {len(quiet.hashes)} outs, {sum(quiet.seconds.values()):.0f} s", flush=True)
    return kill_each_stage(disturbed, quiet, seed)


def kill_each_stage(project: Path, quiet: Quiet, seed: int) -> bool:
    """Kill each stage once, at a random moment, then finish; whether every out equals that of the quiet run.

    The order of the stages is DVC's, which differs between runs.
    """
    random = np.random.default_rng(seed)
    left = {stage: float(random.uniform(0.1, 0.8)) * seconds for stage, seconds in quiet.seconds.items()}
    while left and (hit := disturb(project, left, signal.SIGKILL)) is not None:
        stage, _ = hit
        print(f"SIGKILL {stage} after {left.pop(stage):.1f} of {quiet.seconds[stage]:.1f} s", flush=True)
    run_quietly(project)
    different, count = differences(quiet, project), len(quiet.seconds)
    print(f"{count - len(left)} of {count} stages killed; different outs: {different or 'none'}", flush=True)
    return not different


def _signals(start: Path, quiet: Quiet, count: int, per_round: int, seed: int, number: signal.Signals) -> bool:
    """Rounds of signals until `count` have hit; whether every out of every round equals that of the quiet run."""
    order, done, survived = list(quiet.seconds), 0, 0
    for attempt in itertools.count():
        if done == count:
            break
        project = start.parent / "disturbed"
        shutil.copytree(start, project, symlinks=True)
        hits = 0
        for stage, delay in drawn_moments(quiet, min(per_round, count - done), seed + attempt):
            # A stage that continued from its state may be done already: then the next one is hit
            hit = disturb(project, dict.fromkeys(order[order.index(stage) :], delay), number)
            if hit is None:
                print(f"{number.name} {stage} after {delay:.1f} s: over before", flush=True)
                continue
            hits += 1
            said = [line for line in hit[1].splitlines() if line.startswith("error: ")]
            print(f"{number.name} {hit[0]} after {delay:.1f} s: {said}", flush=True)
        finished = run_quietly(project).seconds
        different = differences(quiet, project)
        done += hits
        survived += 0 if different else hits
        print(f"  finished ({', '.join(finished)}); different outs: {different or 'none'}", flush=True)
        shutil.rmtree(project)
    print(f"{number.name}: {survived} of {count} survived", flush=True)
    return survived == count


def _full_disks(start: Path, quiet: Quiet, count: int, size: float, seed: int) -> bool:
    """Runs on disks of random sizes that are too small, then large enough; whether every out equals the quiet run's."""
    disk = start.parent / "disk"
    if not count:
        return True
    if not can_mount(disk):
        print("full disk: skipped, because this user may not mount a small file system")
        return True
    random, survived = np.random.default_rng(seed), 0
    smallest = sum(path.stat().st_size for path in start.rglob("*") if path.is_file()) / 2**20
    for _ in range(count):
        with small_disk(disk, 4 * size):
            project = disk / "project"
            shutil.copytree(start, project, symlinks=True)
            used = used_megabytes(disk)
            megabytes = used + float(random.uniform(0.05, 0.9)) * (size - smallest)
            resize_disk(disk, megabytes)
            with repro(project) as process:
                output = process.communicate()[0]
                failed = process.returncode != 0
            said = [line for line in output.splitlines() if line.startswith(("error: ", "ERROR: "))]
            locked = set(lock_hashes(project)) if (project / "dvc.lock").exists() else set()
            wrong = [path for path in locked if lock_hashes(project)[path] != quiet.hashes[path]]
            resize_disk(disk, 4 * size)
            run_quietly(project)
            different = differences(quiet, project) + wrong
            traceback = "Traceback" in output
            survived += failed and not different and not traceback
            print(f"disk of {megabytes:.1f} MB: failed {failed}, {said}, traceback {traceback}, different {different}")
            if traceback:
                print(output[-3000:])
    print(f"full disk: {survived} of {count} survived", flush=True)
    return survived == count


if __name__ == "__main__":
    sys.exit(main())
