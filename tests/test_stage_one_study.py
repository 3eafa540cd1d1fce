"""The stage-one study: its arms are those of the plan, each a stage that waits for what it reads."""

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from study.arms import load_study
from study.parameters import load_pipeline
from tests.import_graph import ROOT, STUDIES
from trcgl.config import load_params
from trcgl.runtime.errors import InputError

FOLDER = STUDIES / "stage_one"
STUDY = load_study(FOLDER)
DAG = YAML(typ="safe").load(FOLDER / "dvc.yaml")["stages"]
PRETRAIN = YAML(typ="safe").load(STUDIES / "pretrain/params.yaml")
REPORTED = {
    "real_only", "duplicates", "copy_paste", "cam_grafts", "drawn_uninformed", "drawn_informed", "base_tail", "oracle",
    "transfer", "transfer_drawn", "pretrain_drawn",
}  # fmt: skip


def test_the_arms_are_those_of_the_plan():
    plan = (FOLDER / "plan.md").read_text()
    assert {arm for arm, entry in STUDY.arms.items() if entry.reported} == REPORTED
    assert all(f"| `{arm}` |" in plan for arm in REPORTED)
    for arm in REPORTED - {"real_only"}:
        assert "real_only" in STUDY.arms[arm].references
    primary, secondary = ("duplicates", "real_only"), ("drawn_uninformed", "base_tail", "transfer")
    assert STUDY.arms["drawn_informed"].references == (*primary, *secondary, "copy_paste", "cam_grafts")
    assert "transfer" in STUDY.arms["transfer_drawn"].references
    starts = {arm: entry.starts_from for arm, entry in STUDY.arms.items() if entry.starts_from}
    assert starts == {"transfer": "base_films", "transfer_drawn": "base_films", "pretrain_drawn": "drawn_first"}
    assert STUDY.seeds == tuple(range(101, 121))


def test_an_arm_is_the_default_classifier_but_for_its_gate_and_its_extra_images():
    shipped = load_params(ROOT / "params.yaml").classifier
    for arm, entry in STUDY.arms.items():
        knobs = STUDY.arm_params(arm, 5).classifier
        dose = (knobs.extra_source, knobs.extra_exposure, knobs.extra_weight, knobs.extra_until)
        same = {name: getattr(shipped, name) for name in vars(shipped) if name.startswith("extra_")}
        assert knobs.gate_strength == 1.0
        assert replace(knobs, seed=shipped.seed, gate_strength=shipped.gate_strength, **same) == shipped
        if arm in ("real_only", "transfer", "pretrain_drawn", "base_films"):
            assert (dose[0], entry.extra) == ("none", None)
        else:
            source = "duplicates" if arm == "duplicates" else "synthetic"
            assert dose == (source, 0.85 if arm == "drawn_first" else 0.5, 1.0, 1.0)
    own = {arm: entry.extra for arm, entry in STUDY.arms.items() if entry.extra not in (None, arm)}
    assert own == {"duplicates": "base_tail", "transfer_drawn": "drawn_informed", "drawn_first": "drawn_informed"}


def test_a_replicate_has_a_data_set_and_seeds_of_its_own():
    first, other = (load_study(FOLDER, number) for number in ("101", "113"))
    params = other.params()
    seeds = [getattr(params, part).seed for part in ("dataset", "baseline", "diffusion", "sampling", "classifier")]
    assert seeds == [113] * 5
    assert other.arm_params("oracle", 113).classifier.seed == 113
    assert params.dataset.phantom == load_params(ROOT / "params.yaml").dataset.phantom
    assert (first.data, other.data) == (FOLDER / "data/101", FOLDER / "data/113")
    assert first.name != other.name
    drawn = {load_study(FOLDER, str(number)).params().dataset.seed for number in STUDY.seeds}
    assert drawn == set(STUDY.seeds)
    elsewhere = {load_pipeline(STUDIES / "pretrain", name).params().dataset.seed for name in PRETRAIN["data_sets"]}
    others = {load_pipeline(STUDIES / name).params().dataset.seed for name in ("ablation", "confirmation")}
    assert not drawn & (elsewhere | others)
    with pytest.raises(InputError, match="has no data set '121'; it has 101, 102, "):
        load_study(FOLDER, "121")


def test_every_arm_and_pool_is_a_stage_that_waits_for_what_it_reads():
    arms = [arm for stage in DAG.values() for arm in stage.get("matrix", {}).get("arm", [])]
    assert sorted(arms) == sorted(STUDY.arms)
    for stage in DAG.values():
        for arm in stage.get("matrix", {}).get("arm", []):
            entry, deps = STUDY.arms[arm], [dep.replace("${item.arm}", arm) for dep in stage["deps"]]
            assert entry.extra is None or f"pools/{entry.extra}-${{item.replicate}}" in deps
            assert entry.starts_from is None or f"runs/{entry.starts_from}-${{item.replicate}}" in deps
            assert entry.films is None or f"data/{entry.films}" in deps
            assert "data/${item.replicate}" in deps
    films = {dep for dep in DAG["base_films"]["deps"] if dep.startswith("../pretrain/data")}
    assert films == {f"../pretrain/data/{name}" for name in PRETRAIN["bases"]["informed"]["data_sets"]}
    assert set(DAG["generator"]["matrix"]["base"]) <= set(PRETRAIN["bases"])
