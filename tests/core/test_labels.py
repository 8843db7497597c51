"""Label sets, their synonyms, and how one maps onto another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.core.errors import MienError
from mien.core.labels import (
    FER5,
    FER2013,
    FERPLUS8,
    FERPLUS10,
    KNOWN,
    LabelSet,
    canonical,
    identify,
    known,
    map_ids,
    map_probabilities,
    mapping,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Anger", "angry"),
        (" ANGRY ", "angry"),
        ("happiness", "happy"),
        ("Joy", "happy"),
        ("Sadness", "sad"),
        ("Surprised", "surprise"),
        ("fearful", "fear"),
        ("Disgusted", "disgust"),
        ("NF", "not-a-face"),
        ("not_a_face", "not-a-face"),
        ("No  Face", "not-a-face"),
        ("Boredom", "boredom"),
        ("cat_1", "cat_1"),
        ("fro\u0308hlich", "fröhlich"),
    ],
)
def test_synonyms_and_spellings_have_one_canonical_name(written: str, meant: str) -> None:
    assert canonical(written) == meant


@given(st.text(max_size=12))
def test_the_canonical_name_of_a_canonical_name_is_itself(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_two_names_of_one_expression_cannot_be_two_classes() -> None:
    with pytest.raises(MienError, match="'Anger' and 'angry' mean the same"):
        LabelSet(name="x", names=("Anger", "fear", "angry"))


@pytest.mark.parametrize("names", [(), ("cat", "cat")])
def test_a_label_set_needs_distinct_names(names: tuple[str, ...]) -> None:
    with pytest.raises(MienError, match="distinct names"):
        LabelSet(name="x", names=names)


def test_an_index_is_found_by_meaning_and_not_by_spelling() -> None:
    assert [FERPLUS8.index(name) for name in FER2013.names] == [4, 5, 6, 1, 3, 2, 0]
    assert FER2013.index("contempt") is None


def test_known_sets_are_found_by_name_and_a_wrong_name_gets_the_nearest() -> None:
    assert known("fer5") is FER5
    with pytest.raises(MienError, match="did you mean 'ferplus8'"):
        known("ferplus")


def test_a_set_is_identified_by_names_and_order_together() -> None:
    assert identify(FER2013.names) is FER2013
    assert identify(sorted(FER2013.names)).name == "custom"


def test_ferplus_ids_become_fer2013_ids_and_the_rest_has_none() -> None:
    assert map_ids(np.arange(10), FERPLUS10, FER2013).tolist() == [6, 3, 5, 4, 0, 1, 2, -1, -1, -1]


def test_an_id_without_a_label_stays_without() -> None:
    assert map_ids(np.array([-1, 0]), FER2013, FERPLUS8).tolist() == [-1, 4]


def test_a_merge_rule_sends_a_class_where_the_user_says() -> None:
    merged = map_ids(np.array([7]), FERPLUS8, FER2013, merge={"Contempt": "Disgusted"})
    assert merged.tolist() == [FER2013.index("disgust")]


def test_a_merge_rule_onto_an_unknown_label_names_the_nearest() -> None:
    with pytest.raises(MienError, match="did you mean 'neutral'"):
        mapping(FERPLUS8, FER2013, merge={"contempt": "neutrall"})


def test_probabilities_of_shared_classes_are_renormalised_by_hand() -> None:
    # neutral .2, happiness .3, contempt .5: without contempt, .4 and .6.
    given_probabilities = np.zeros((1, 8))
    given_probabilities[0, [0, 1, 7]] = 0.2, 0.3, 0.5
    mapped = map_probabilities(given_probabilities, FERPLUS8, FER2013)
    expected = np.zeros((1, 7))
    expected[0, [FER2013.index("neutral"), FER2013.index("happy")]] = 0.4, 0.6
    np.testing.assert_allclose(mapped, expected, atol=1e-6)


def test_a_merge_adds_probability_instead_of_dropping_it() -> None:
    given_probabilities = np.zeros((1, 8))
    given_probabilities[0, [0, 7]] = 0.25, 0.75
    mapped = map_probabilities(given_probabilities, FERPLUS8, FER2013, merge={"contempt": "neutral"})
    np.testing.assert_allclose(mapped[0, FER2013.index("neutral")], 1.0)


def test_mass_on_classes_without_counterpart_alone_becomes_uniform_over_the_shared_ones() -> None:
    contempt = np.eye(8)[[7]]
    mapped = map_probabilities(contempt, FERPLUS8, FER5)
    np.testing.assert_allclose(mapped, np.full((1, 5), 0.2), atol=1e-6)


def test_the_uniform_answer_leaves_out_target_classes_that_the_source_lacks() -> None:
    mapped = map_probabilities(np.eye(5)[[0]] * 0, FER5, FER2013)
    np.testing.assert_allclose(mapped, [[0, 0, 0.2, 0.2, 0.2, 0.2, 0.2]], atol=1e-6)


def test_sets_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(MienError, match="no label"):
        map_probabilities(np.ones((1, 2)) / 2, identify(("cat", "dog")), FER2013)


@pytest.mark.parametrize("source", KNOWN.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("target", KNOWN.values(), ids=lambda s: s.name)
@given(data=st.data())
def test_mapped_probabilities_sum_to_one(source: LabelSet, target: LabelSet, data: st.DataObject) -> None:
    raw = data.draw(arrays(np.float32, (3, len(source)), elements=st.floats(0, 1, width=32)))
    mapped = map_probabilities(raw / np.maximum(raw.sum(1, keepdims=True), 1e-3), source, target)
    np.testing.assert_allclose(mapped.sum(1), 1, atol=1e-4)
    assert (mapped >= 0).all()


@pytest.mark.parametrize("labels", KNOWN.values(), ids=lambda s: s.name)
def test_a_set_maps_onto_itself_unchanged(labels: LabelSet) -> None:
    assert (mapping(labels, labels) == np.eye(len(labels))).all()
