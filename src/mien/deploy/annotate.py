"""Pictures with their faces marked: corners around each, its label, and bars for the likeliest classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from PIL import Image, ImageDraw

from mien.core.labels import canonical
from mien.deploy.fonts import font, legible
from mien.deploy.photos import Box, Face

# Apart for all kinds of colour vision by lightness as well as hue, and light enough to be read on a dark card.
COLOURS = {
    "angry": "#FF5A5F",
    "disgust": "#7BC86C",
    "fear": "#B794F6",
    "happy": "#FFD23F",
    "sad": "#56B4E9",
    "surprise": "#FF9F45",
    "neutral": "#C9D1D9",
    "contempt": "#E39AC7",
}
OTHER_COLOURS = ("#5AD1C4", "#F2A7B5", "#A0B4FF", "#D6C36A", "#8FD6A0", "#E0A070")
UNSURE_COLOUR = "#9AA4AF"

_CARD, _CARD_ALPHA = (15, 18, 23), 205
_TEXT, _FAINT = (245, 247, 250), (170, 178, 188)
_BARS = 3
_SMALLEST_TEXT, _LARGEST_TEXT = 11, 44
_CROP_SIDE, _CROP_BARS = 240, 8
_SMALLER = 0.8  # letters beside the bars
_SMOOTH = 4  # cards are drawn so many times larger and shrunk: Pillow draws jagged curves


class _Place(NamedTuple):
    """A rectangle in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def shared(self, other: _Place) -> int:
        """Pixels that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


class _Bar(NamedTuple):
    """A class and its probability; `shown` is its name as it is drawn."""

    name: str
    shown: str
    probability: float


def colour_of(label: str, names: Sequence[str]) -> str:
    """The colour of a class: a fixed one for expressions whatever a data set calls them, else by its place in `names`.

    >>> colour_of("happiness", ["happiness"]) == colour_of("happy", ["sad", "happy"])
    True
    """
    return COLOURS.get(canonical(label)) or OTHER_COLOURS[list(names).index(label) % len(OTHER_COLOURS)]


def shown_name(label: str, names: Sequence[str]) -> str:
    """The name of a class as it can be drawn; by its place in `names` where no font here has its letters."""
    return label if legible(label) else f"class {list(names).index(label)}"


def annotate(picture: Image.Image, faces: Sequence[Face], *, titles: Sequence[str] = ()) -> Image.Image:
    """A copy of the picture in RGB with every face marked; cards move aside so that they cover no other face.

    Args:
        picture: upright, in mode L or RGB, as the faces were found in it.
        faces: what was found; a picture that is a cut-out face as a whole gets its card inside.
        titles: what stands before the label of each face, such as its number.
    """
    canvas = picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    boxes = [_inside(face.box, canvas.size) for face in faces]
    taken = list(boxes)
    for i, (face, box) in enumerate(zip(faces, boxes, strict=True)):
        title = f"{titles[i]}  " if titles else ""
        _corners(canvas, box, _colour(face))
        text = _text_size(canvas.size, box)
        place, bars = _placed(face, title, text, box, [t for j, t in enumerate(taken) if j != i], canvas.size)
        _card(canvas, place, face, title=title, text=text, bars=bars)
        taken.append(place)
    return canvas


def _colour(face: Face) -> str:
    return UNSURE_COLOUR if face.unsure else colour_of(face.label, list(face.probabilities))


def _inside(box: Box, size: tuple[int, int]) -> _Place:
    left, top, right, bottom = (round(v) for v in box)
    return _Place(max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1]))


def _text_size(size: tuple[int, int], box: _Place) -> int:
    """Height of letters in pixels: in proportion to the face, within what is legible and what is modest."""
    wanted = 0.11 * max(box.right - box.left, box.bottom - box.top)
    return round(min(max(wanted, _SMALLEST_TEXT, min(size) / 60), _LARGEST_TEXT, max(min(size) / 14, _SMALLEST_TEXT)))


def _corners(canvas: Image.Image, box: _Place, colour: str) -> None:
    """Four right angles, dark below and coloured above: seen on any background, and nothing of the face is hidden."""
    draw = ImageDraw.Draw(canvas)
    side = min(box.right - box.left, box.bottom - box.top)
    thick, arm = max(round(side / 45), 2), max(round(side * 0.2), 4)
    for fill, grown in ((_CARD, max(thick // 2, 1)), (colour, 0)):
        for right, low in product((False, True), repeat=2):
            x, y = (box.right if right else box.left), (box.bottom if low else box.top)
            across, down = (-1 if right else 1), (-1 if low else 1)
            for width, height in ((arm, thick), (thick, arm)):
                xs = sorted((x - across * grown, x + across * (width + grown)))
                ys = sorted((y - down * grown, y + down * (height + grown)))
                draw.rectangle((xs[0], ys[0], xs[1] - 1, ys[1] - 1), fill=fill)


def _placed(
    face: Face, title: str, text: int, box: _Place, others: Sequence[_Place], size: tuple[int, int]
) -> tuple[_Place, int]:
    """Where the card goes and how many bars it holds: with bars where that covers no face, else the label alone."""
    for bars in (min(_BARS, len(face.probabilities)), 0):
        width, height = _card_size(face, title, text, bars)
        free = list(_candidates(box, width, height, size))
        covered = [sum(place.shared(other) for other in others) for place in free]
        if free and (min(covered) == 0 or not bars):
            return free[covered.index(min(covered))], bars
    # Nothing beside the face: at its lower edge.
    left = min(max(box.left, 0), max(size[0] - width, 0))
    top = max(min(box.bottom, size[1]) - height, 0)
    return _Place(left, top, left + width, top + height), 0


def _candidates(box: _Place, width: int, height: int, size: tuple[int, int]) -> Iterator[_Place]:
    """Below, above, right and left of the box, where the picture has room for it."""
    gap = max((box.bottom - box.top) // 30, 4)
    corners = [
        (box.left, box.bottom + gap),
        (box.left, box.top - height - gap),
        (box.right + gap, box.top),
        (box.left - width - gap, box.top),
    ]
    for x, y in corners:
        left, top = min(max(x, 0), max(size[0] - width, 0)), min(max(y, 0), max(size[1] - height, 0))
        place = _Place(left, top, left + width, top + height)
        if not place.shared(box):
            yield place


def _headline(face: Face, title: str) -> str:
    name = shown_name(face.label, list(face.probabilities))
    label = f"unsure ({name}?)" if face.unsure else name
    return f"{title}{label}  {100 * face.probability:.0f} %"


def _card_size(face: Face, title: str, text: int, bars: int) -> tuple[int, int]:
    pad = text // 2
    headline = _headline(face, title)
    width = font(text, headline).getlength(headline) + text + 2 * pad
    if bars:
        longest = _longest(_likeliest(face, bars), text)
        width = max(width, longest + 6 * text + 2 * pad)
    return round(width), round(1.25 * text + pad + bars * 1.15 * text + (pad / 2 if bars else 0))


def _card(canvas: Image.Image, place: _Place, face: Face, *, title: str, text: int, bars: int) -> None:
    pad, colour = text // 2, _colour(face)
    _round(canvas, place, pad, _CARD, _CARD_ALPHA)
    draw = ImageDraw.Draw(canvas)
    middle = place.top + pad / 2 + 0.62 * text
    dot = round(0.3 * text)
    left = place.left + pad
    _round(canvas, _Place(left, round(middle) - dot, left + 2 * dot, round(middle) + dot), dot, colour, 255)
    headline = _headline(face, title)
    draw.text((left + text, middle), headline, fill=_TEXT, font=font(text, headline), anchor="lm")
    likeliest = _likeliest(face, bars)
    longest = _longest(likeliest, text)
    for row, (name, shown, probability) in enumerate(likeliest):
        middle = place.top + pad / 2 + (1.85 + 1.15 * row) * text
        draw.text((left, middle), shown, fill=_FAINT, font=font(_SMALLER * text, shown), anchor="lm")
        start = round(left + longest + 0.6 * text)
        room, half = place.right - pad - start, max(round(0.2 * text), 2)
        rail = _Place(start, round(middle) - half, start + room, round(middle) + half)
        _round(canvas, rail, half, (255, 255, 255), 45)
        filled = rail._replace(right=start + max(round(room * probability), 2 * half))
        _round(canvas, filled, half, colour_of(name, list(face.probabilities)), 255)


def _likeliest(face: Face, count: int) -> list[_Bar]:
    likeliest = sorted(face.probabilities.items(), key=lambda item: -item[1])[:count]
    return [_Bar(name, shown_name(name, list(face.probabilities)), probability) for name, probability in likeliest]


def _longest(bars: Sequence[_Bar], text: int) -> float:
    """Width of the longest of their names in pixels, beside a headline of `text` pixels."""
    return max((font(_SMALLER * text, bar.shown).getlength(bar.shown) for bar in bars), default=0)


def _round(canvas: Image.Image, place: _Place, radius: int, colour: str | tuple[int, int, int], alpha: int) -> None:
    """A rectangle with round corners, smooth at the edges; `alpha` 255 covers what is below."""
    size = (max(place.right - place.left, 1), max(place.bottom - place.top, 1))
    large = Image.new("L", (size[0] * _SMOOTH, size[1] * _SMOOTH))
    end = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *end), radius=radius * _SMOOTH, fill=alpha)
    canvas.paste(Image.new("RGB", size, colour), place[:2], large.reduce(_SMOOTH))


def annotate_crop(picture: Image.Image, face: Face) -> Image.Image:
    """A picture that is a face as a whole, enlarged to be looked at, with its card below it."""
    scale = max(_CROP_SIDE / min(picture.size), 1)
    large = picture.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
    text, bars = max(round(large.width / 18), _SMALLEST_TEXT), min(_CROP_BARS, len(face.probabilities))
    width, height = _card_size(face, "", text, bars)
    canvas = Image.new("RGB", (max(large.width, width), large.height + height), _CARD)
    canvas.paste(large, ((canvas.width - large.width) // 2, 0))
    _card(canvas, _Place(0, large.height, canvas.width, canvas.height), face, title="", text=text, bars=bars)
    return canvas
