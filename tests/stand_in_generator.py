"""Scripts in place of the generator's stages: they draw noise and accept all of it.

The real ones take half a minute to start, and every audit refuses what a generator of two steps draws.
"""

STAND_INS = {
    "finetune_diffusion": "",
    "sample_tail": """
from pathlib import Path
import numpy as np
import pandas as pd
from trcgl.config import load_params
from trcgl.artifacts.shards import ShardWriter
from trcgl.runtime.files import read_json

params = load_params()
classes = read_json("data/labels/classes.json")["classes"]
tail = [entry["name"] for entry in classes if entry["group"] == "tail"] * params.sampling.images_per_finding
names = [f"synth-{i}" for i in range(len(tail))]
Path("data/synthetic").mkdir()
writer = ShardWriter(Path("data/synthetic"), 32, shard_images=100)
base = Path(params.diffusion.base).name.encode()
for i, name in enumerate(names):
    noise = np.random.default_rng([params.sampling.seed, i, *base])
    writer.add(name, noise.integers(0, 256, (32, 32)).astype(np.uint8))
writer.close()
findings = [[name] for name in tail]
table = pd.DataFrame({"sample": names, "target": tail, "findings": findings, "unknown": [[]] * len(tail)})
table.assign(seed=params.diffusion.seed).to_parquet("data/synthetic/samples.parquet")
""",
    "audit_synthetic": """
import json
from pathlib import Path
import pandas as pd

Path("metrics").mkdir()
samples = pd.read_parquet("data/synthetic/samples.parquet")[["sample"]]
samples.assign(accepted=True, unverified=[[]] * len(samples)).to_parquet("data/synthetic_audit.parquet")
Path("metrics/synthetic.json").write_text(json.dumps({"judge": str(Path("data/models/baseline").resolve())}))
Path("metrics/synthetic_per_class.csv").touch()
""",
}
