"""All speed benchmarks for a CPU, each in a fresh process: `PYTHONPATH=src python -m benchmarks`.

At most 20 minutes on two idle cores. The peers are in benchmarks/requirements.txt; without them, their rows are marked
as skipped. The other benchmarks of this folder are about the method; most need a finished run of the pipeline.
"""

import subprocess
import sys
import time

SPEED = (
    "start_up", "noop_repro", "labels", "cache", "training_reads", "depthwise", "head_cost", "sampling", "scaling"
)  # fmt: skip


def main() -> int:
    failed = []
    for name in SPEED:
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
