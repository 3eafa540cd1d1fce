"""Letters that look like others: found in every place where a name is given, against Unicode's own tables."""

import unicodedata
from pathlib import Path

import pytest

from tests.label_tables import ADAPTERS, CODED, HAS_IDS, LISTED, ROWS, as_text, check, meant, read, rows_of
from trcgl.artifacts.vocabulary import phrases
from trcgl.labels.merging import merge_labels, read_class_table
from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import SAME, disguise, odd_letters, plainly

LETTERS = [chr(code) for code in range(0x80, 0x20000) if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lo")]
OTHERS = {
    "Cyrillic": "M\u0430ss", "Greek": "M\u03b1ss", "Armenian": "Ma\u057dss", "Cherokee": "\u13b7ass",
    "wide": "\uff2d\uff41\uff53\uff53", "mathematical": "\U0001d40cass", "circled": "\u24c2ass", "ligature": "Ma\ufb06",
    "phonetic": "M\u0251ss", "Cyrillic, of no likeness": "M\u0436ss",
}  # fmt: skip


@pytest.mark.parametrize("script", ["GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE"])
def test_no_letter_of_a_related_alphabet_stands_in_a_latin_word(script: str):
    letters = [letter for letter in LETTERS if unicodedata.name(letter, "").startswith(f"{script} ")]
    assert len(letters) >= 80
    for letter in (unicodedata.normalize("NFC", letter) for letter in letters):
        assert "U+" in odd_letters(f"at{letter}lectasis"), letter
        assert odd_letters(f"{letter}{letter}") == "", letter


@pytest.mark.parametrize("tag", ["<wide>", "<font>"])
def test_forms_of_letters_are_what_unicode_says(tag: str):
    letters = [letter for letter in LETTERS if unicodedata.decomposition(letter).startswith(tag)]
    latin = [letter for letter in letters if unicodedata.normalize("NFKC", letter).isascii()]
    assert len(latin) >= 50
    for letter in latin:
        plain = unicodedata.normalize("NFKC", letter)
        assert odd_letters(f"{letter}ass").endswith(f"write '{plain}ass'")
        assert plainly(letter) == plain


def test_what_looks_latin_is_a_letter_of_the_same_case():
    for code, latin in SAME.items():
        kind = unicodedata.category(chr(code))
        assert (
            kind in ("Lo", "Nl")
            or kind == ("Lu" if latin.isupper() else "Ll")
            or "CHEROKEE" in unicodedata.name(chr(code))
        )


NAMES = """
Dérame pleural|tórax en tonel|1ª costilla|İnfiltrasyon|Łuk|naïve|T₂|10 µm|β2-agonist|interferon α|πνευμονία|Масса
ПЭТ/КТ CT|ранняя стадия С|胸水|Ｘ線|CT所見|استرواح|निमोनिया|가슴 X
"""


@pytest.mark.parametrize("name", NAMES.strip().replace("\n", "|").split("|"))
def test_names_in_any_script_are_names(name: str):
    assert odd_letters(unicodedata.normalize("NFC", name)) == ""


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_label_with_another_letter_is_refused_with_its_place(name: str, kind: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows, columns = rows_of(adapter, what), [*adapter.columns]
    if name in LISTED:
        rows[-1][adapter.label] = str([OTHERS[kind]]) if name == "padchest" else OTHERS[kind]
        where = f"row {ROWS}: "
    elif name == "chexpert":
        columns[columns.index("Edema")] = "Edem\u03b1" if kind == "Greek" else "\u0415dema"
        where = "column 'Edema' is missing; "
    else:
        columns.append(OTHERS[kind])
        rows = [row | {OTHERS[kind]: "1"} for row in rows]
        alike = plainly(OTHERS[kind]) == "Mass"
        where = "are one finding in two spellings" if alike else f"column '{OTHERS[kind]}' has the letter"
    with pytest.raises(InputError) as caught:
        read(name, tmp_path / "t.csv", as_text(columns, rows))
    assert where in str(caught.value)
    assert "(U+" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CODED if name != "chexpert"])
def test_a_single_column_with_another_letter_is_refused(name: str, tmp_path: Path):
    adapter = ADAPTERS[name]
    text = as_text(adapter.columns, rows_of(adapter, meant())).replace("Nodule", "N\u043edule", 1)
    with pytest.raises(InputError, match=r"column 'N\u043edule' has the letter .* write 'Nodule'"):
        read(name, tmp_path / "t.csv", text)


@pytest.mark.parametrize("name", LISTED)
def test_a_name_that_only_looks_latin_is_said(name: str, tmp_path: Path, said: list[str]):
    """Where no other name is of its alphabet; where one is, it is what it seems."""
    adapter, what = ADAPTERS[name], meant()
    for labels in ["\u0422\u0412"], ["\u0422\u0412", "\u041f\u043d\u0435\u0432\u043c\u043e\u043d\u0438\u044f"]:
        rows = rows_of(adapter, what)
        said.clear()
        for row, label in zip(rows[: len(labels)], labels, strict=True):
            row[adapter.label] = str([label]) if name == "padchest" else label
        read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
        assert [line for line in said if "only looks Latin" in line and "if 'TB' is meant" in line] == said
        assert len(said) == (len(labels) == 1)
    assert disguise("\u0422\u0412") == "TB"


@pytest.mark.parametrize("name", HAS_IDS)
@pytest.mark.parametrize("other", ["\u04201", "P\uff11", "\uff301"])
def test_patients_of_look_alike_ids_are_said(name: str, other: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    what.patients[4:8] = ["P1", other, "P2", "P2"]
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows_of(adapter, what))), what, name)
    assert any("ids of rows 5 and 6 differ only in" in line and "more" not in line for line in said)


@pytest.mark.parametrize("kind", OTHERS)
def test_class_tables_and_vocabularies_refuse_them(kind: str, tmp_path: Path):
    name, path = OTHERS[kind], tmp_path / "t.csv"
    for row in (f"{name},Mass", f"Mass,Nodule|{name}"):
        path.write_text(f"class,padchest_labels\nEdema,Edema\n{row}\n")
        with pytest.raises(InputError, match=r"t.csv: row 2: '.*' has the letter '.*' \(U\+"):
            read_class_table(path)
    for row in (f"{name},mass", f"Mass,{name}"):
        path.write_text(f"label,phrase\nEdema,edema\n{row}\n")
        with pytest.raises(InputError, match=r"t.csv: row 2: '.*' has the letter '.*' \(U\+"):
            phrases(["Edema"], path)


def test_a_class_table_in_letters_that_only_look_alike_is_named(tmp_path: Path):
    adapter, what = ADAPTERS["folder list"], meant()
    rows = rows_of(adapter, what)
    rows[0][adapter.label] = "TB"
    table = read("folder", tmp_path / "t.csv", as_text(adapter.columns, rows))
    path = tmp_path / "c.csv"
    path.write_text("class,padchest_labels\nx,\u0422\u0412\n")
    with pytest.raises(
        InputError, match=r"the label '\u0422\u0412' \(has .* only looks Latin\) is 'TB' in the label table"
    ):
        merge_labels(table, path)
