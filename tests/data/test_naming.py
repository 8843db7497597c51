"""From the labels a source writes to ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mien.core import labels
from mien.core.errors import MienError
from mien.core.labels import FER5, FER2013, FERPLUS8, FERPLUS10, LabelSet
from mien.data.naming import Naming, check_numbering, order_of
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]


def test_names_that_mean_a_known_set_get_its_order() -> None:
    assert order_of(["Joy", "sadness", "anger", "fear", "neutral", "surprised", "Disgust"]) is FER2013
    assert order_of(reversed(FERPLUS8.names)) is FERPLUS8
    assert order_of(FER5.names) is FER5
    assert order_of([*FERPLUS8.names, "not a face", "unclear"]) is FERPLUS10


def test_six_of_the_seven_are_no_known_set_and_are_sorted_as_written() -> None:
    assert order_of(["sad", "Joy", "anger", "fear", "neutral", "surprise"]).names == (
        "Joy",
        "anger",
        "fear",
        "neutral",
        "sad",
        "surprise",
    )


def test_no_names_at_all_are_refused() -> None:
    with pytest.raises(MienError, match="no label found"):
        order_of([])


def test_tokens_are_numbers_names_or_synonyms_of_the_declared_classes() -> None:
    naming = Naming({str(i): name for i, name in enumerate(FER2013.names)}, None)
    assert [naming.resolve(token)[0] for token in ("3", "03", "3.0", "happy", "Joy")] == ["happy"] * 5
    assert naming.resolve("8") == (None, "label '8' is none of 0, 1, 2, 3, 4, 5, 6")
    assert naming.resolve("contempt")[0] is None
    assert naming.resolve("hapy")[1].endswith(": did you mean 'happy'?")


def test_ids_follow_the_declared_order_also_of_classes_without_pictures() -> None:
    naming = Naming({"0": "b", "1": "c", "2": "a"}, None)
    assert naming.label_set().names == ("b", "c", "a")
    assert naming.ids(["a", None, "b"]).tolist() == [2, -1, 0]


def test_a_target_set_renumbers_by_meaning() -> None:
    naming = Naming({str(i): name for i, name in enumerate(FERPLUS8.names)}, FER2013)
    assert naming.counterpart("anger")
    assert not naming.counterpart("contempt")
    assert naming.ids(["anger", "happiness"]).tolist() == [0, 3]


def test_numbers_written_in_two_ways_are_one_class() -> None:
    naming = Naming(None, None)
    assert [naming.resolve(token)[0] for token in ("1", "1.0", "2.0", "²")] == ["1", "1", "2", "²"]
    assert naming.label_set().names == ("1", "2", "²")
    assert not naming.merged()


def test_numbers_sort_by_value_however_long_they_are() -> None:
    long = "9" * 5000
    assert order_of(["a", long, "10", "9"]).names == ("9", "10", long, "a")


def test_ids_of_many_classes_ask_for_each_name_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(name: str) -> str:
        asked.append(name)
        return labels.canonical(name)

    naming = Naming(None, None)
    names = [naming.resolve(f"c{i:03d}")[0] for i in range(300)]
    monkeypatch.setattr("mien.data.naming.canonical", counted)
    monkeypatch.setattr(LabelSet, "index", None)  # looks through all names
    assert naming.ids(names).tolist() == list(range(300))
    assert len(asked) < 10 * 300


def test_a_long_list_of_classes_is_shortened_in_the_reason() -> None:
    reason = Naming({str(i): f"c{i}" for i in range(30)}, None).resolve("99")[1]
    assert reason.endswith("0, 1, 2, 3, 4, 5, 6, 7, 8, 9 … 29")


@pytest.mark.parametrize("numbers", [range(1, 8), range(8), range(1, 9)])
def test_numbers_of_another_numbering_than_that_of_the_label_set_stop_the_import(
    numbers: range, write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{number}/{i}.png": i for number in numbers for i in range(2)})
    options = ImportOptions(labels="fer2013")
    wanted = rf"labels are {numbers[0]} to {numbers[-1]}, but fer2013 is numbered 0 to 6\n.*--names FILE"
    with pytest.raises(MienError, match=wanted):
        import_data(root, tmp_path / "packed", options=options)
    (tmp_path / "names.txt").write_text("".join(f"{i} {FERPLUS8.names[i - numbers[0]]}\n" for i in numbers))
    named = import_data(root, tmp_path / "packed", options=replace(options, names=tmp_path / "names.txt"))
    assert named.dataset.info.counts["train"]["happy"] == 1


@pytest.mark.parametrize("wrong", ["7", "99"])
def test_a_single_number_that_is_no_id_is_a_fault_of_its_row(wrong: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(7)})
    (root / "t.csv").write_text("file,label\n" + "".join(f"{i}.png,{i or wrong}\n" for i in range(7)))
    imported = import_data(root, tmp_path / "packed", options=ImportOptions(labels="fer2013"))
    reasons = [item.reason for item in imported.rejects.items]
    assert reasons == [f"label '{wrong}' is none of 0, 1, 2, 3, 4, 5, 6"]
    check_numbering({"0": 900, "5": 91, wrong: 9}, FER2013)


def test_bare_numbers_are_told_as_numbered_or_without_names(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{number}/{i}.png": i for number in range(7) for i in range(2)})
    notes = import_data(root, tmp_path / "a", options=ImportOptions(labels="fer2013")).notes
    numbered = "0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral"
    assert f"labels numbered as fer2013: {numbered}" in notes
    assert not any("mapped by name" in note for note in notes)
    notes = import_data(root, tmp_path / "b").notes
    assert "labels are numbers without names: give --names FILE or --labels fer2013 to name them" in notes
