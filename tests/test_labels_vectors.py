"""Label vectors: the committed file is whole, lookup is by name, and an encoder's vectors are what they should be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from trcgl.artifacts.label_vectors import read_label_vectors, write_label_vectors
from trcgl.artifacts.vocabulary import phrases
from trcgl.labels.encode import encode
from trcgl.phantom.catalogue import NAMES
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "data" / "assets"
SHIPPED = ASSETS / "label_vectors.safetensors"
VOCABULARY = ASSETS / "padchest_vocabulary.csv"


def test_the_shipped_file_has_every_label_and_class():
    labels = read_columns(VOCABULARY, ("label", "phrase"), what="a vocabulary")["label"].tolist()
    classes = read_columns(ASSETS / "cxrlt_classes.csv", ("class",), what="classes")["class"].tolist()
    wanted = [*labels, *classes, *NAMES]
    vectors = read_label_vectors(SHIPPED, wanted)
    assert vectors.shape == (len(wanted), 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(wanted)), abs=1e-3)


def test_shipped_vectors_say_what_labels_mean():
    """Labels of two data sets with one phrase have one vector; related findings are nearer than unrelated ones."""
    same = phrases(["Effusion", "pleural effusion"], VOCABULARY)
    assert same["Effusion"] == same["pleural effusion"]
    names = ["Effusion", "pleural effusion", "loculated pleural effusion", "scoliosis", "kyphosis", "pacemaker"]
    v = read_label_vectors(SHIPPED, names)
    assert (v[0] == v[1]).all()
    assert v[1] @ v[2] > max(v[1] @ v[3], v[1] @ v[5])
    assert v[3] @ v[4] > max(v[3] @ v[1], v[3] @ v[5])


def test_one_metadata_key_and_the_same_bytes(tmp_path: Path):
    vectors = np.eye(3, 5)
    for name in ("a", "b"):
        write_label_vectors(tmp_path / name, "some/encoder", ["x", "y", "z"], vectors)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for file in (tmp_path / "a", SHIPPED):
        with safe_open(file, "numpy") as opened:
            assert list(opened.metadata()) == ["labels"]
            assert list(opened.keys()) == ["vectors"]
            assert opened.get_tensor("vectors").dtype == np.float16
    assert read_label_vectors(tmp_path / "a", ["z", "x"]).tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    with safe_open(tmp_path / "a", "numpy") as opened:
        assert json.loads(opened.metadata()["labels"]) == {"encoder": "some/encoder", "names": ["x", "y", "z"]}


def test_a_label_without_a_vector_is_one_line():
    with pytest.raises(InputError, match=r"no vector for 'lung stone' and 1 more; .*trcgl\.labels\.encode") as caught:
        read_label_vectors(SHIPPED, ["nodule", "lung stone", "Nodules"])
    assert "\n" not in str(caught.value)


def test_other_files_are_one_line(tmp_path: Path):
    (tmp_path / "text").write_text("no tensors")
    save_file({"vectors": np.eye(2)}, tmp_path / "bare")
    for name in ("absent", "text", "bare"):
        with pytest.raises(InputError, match=f"{name}: not a file of label vectors") as caught:
            read_label_vectors(tmp_path / name, ["a"])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "vectors", "said"),
    [
        (["a", "b"], np.array([[1, 0], [0, np.nan]]), "the vector of 'b' has values that are not numbers"),
        (["a", "b"], np.eye(1, 4), r"the shape \[1, 4\], and not a row for each of its 2 labels"),
        (["a", "b"], np.ones(2), r"the shape \[2\], and not"),
        (["a", "a", "b"], np.eye(3), "the label 'a' has 2 vectors"),
        (5, np.eye(2), "its labels are not a list of names"),
    ],
)
def test_vectors_that_do_not_belong_to_their_labels_are_one_line(
    names: object, vectors: np.ndarray, said: str, tmp_path: Path
):
    metadata = {"labels": json.dumps({"encoder": "x", "names": names})}
    save_file({"vectors": vectors.astype(np.float16)}, tmp_path / "v", metadata)
    with pytest.raises(InputError, match=f"v: .*{said}"):
        read_label_vectors(tmp_path / "v", ["a", "b"])


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A random text encoder of nine words, saved as transformers saves one."""
    words = ["[UNK]", "[PAD]", "pleural", "effusion", "lung", "nodule", "enlarged", "heart", "chest"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12,
    )  # fmt: skip
    fast.save_pretrained(tmp_path / "encoder")
    BertModel(config).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_a_vector_is_the_mean_token_of_its_phrase(encoder: Path):
    found = encode(["pleural effusion", "enlarged heart"], str(encoder))
    model = BertModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        for row, ids in zip(found, ([2, 3], [6, 7]), strict=True):
            tokens = model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()
            mean = tokens.mean(0)
            assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


@pytest.mark.slow
def test_the_command_writes_the_file(encoder: Path, tmp_path: Path):
    (tmp_path / "v.csv").write_text("label,phrase\nEffusion,pleural effusion\nNodule,lung nodule\n")
    command = [sys.executable, "-m", "trcgl.labels.encode", "--vocabulary", "v.csv", "--out", "out.safetensors"]
    environment = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def run(encoder_name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--encoder", encoder_name], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = run(str(encoder))
    assert done.returncode == 0, done.stderr
    found = read_label_vectors(tmp_path / "out.safetensors", ["Nodule", "Effusion"])
    assert found == pytest.approx(encode(["lung nodule", "pleural effusion"], str(encoder)), abs=1e-3)
    failed = run(str(tmp_path / "absent"))
    assert failed.returncode == 1
    assert "cannot be loaded" in failed.stderr.strip().splitlines()[-1]
