"""All speed benchmarks for a CPU, each in a fresh process: `PYTHONPATH=src python -m benchmarks`.

At most 20 minutes on two idle cores. The peers are in benchmarks/requirements.txt; without them, their rows are marked
as skipped. The other benchmarks of this folder are about the method; most need a finished run of the pipeline.
"""

import argparse
import subprocess
import sys
import time

SPEED = (
    "start_up", "everyday", "noop_repro", "neighbours", "labels", "cache", "training_reads", "depthwise", "head_cost",
    "sampling", "scaling",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Without a name all run, one by one.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SPEED))
    names = parser.parse_args().names or SPEED
    for name in set(names) - set(SPEED):
        parser.error(f"no benchmark '{name}'; there are {', '.join(SPEED)}")
    failed = []
    for name in names:
        started = time.monotonic()
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print(f"stopped with an error: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
