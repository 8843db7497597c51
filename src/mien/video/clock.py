"""Times of a video: one clock for all streams of a file, which goes on where the file's own begin anew or leap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from av.packet import Packet

# A known shift that brings a packet so near to where it is expected is taken again: the times only strayed for a while.
_NEAR_S = 0.5
# By so much, sound and pictures of one part of a joined file end apart at most.
_MOST_APART_S = 10.0
# Packets that lie side by side in the file are of one time, give or take so much.
_ONE_PLACE_S = 5.0
# A stream that comes at intervals may miss one.
_MISSED = 2


@dataclass
class _Hand:
    """Where one stream is: its own time, when its next packet is due on the clock, and the shift between the two.

    Attributes:
        longest_s: between two of its packets so far; None before the second.
    """

    own_s: float
    due_s: float
    shift: int
    longest_s: float | None = None


@final
class Clock:
    """Sets the times of packets, in the order in which they lie in the file.

    Television streams begin anywhere; those that were joined begin anew in the middle, and damage makes times leap.
    There the clock goes on as if nothing were, and the stream that comes there later gets the same shift, so that
    pictures and sound stay together. A stream that pauses while another goes on has not leapt: the gap stays.

    Args:
        start_s: the file's time that is zero.
        most_back_s: a stream whose times of decoding go back by more has begun anew.
        longest_leap_s: a stream without a packet for longer has leapt, unless another stream went on meanwhile, or it
            is alone and never came more often.
    """

    def __init__(self, start_s: float, *, most_back_s: float, longest_leap_s: float) -> None:
        self._most_back_s, self._longest_leap_s = most_back_s, longest_leap_s
        self._shifts = [-start_s]
        self._hands: dict[int, _Hand] = {}

    @property
    def shifted(self) -> bool:
        """Whether times began anew or leapt so far."""
        return len(self._shifts) > 1

    def set(self, packet: Packet[Any]) -> None:
        """Change a packet's times to those of the clock; one that has none is left alone."""
        unit = packet.time_base
        if not unit or (packet.dts is None and packet.pts is None):
            return
        hand = self._hands.get(packet.stream.index)
        # Times of showing go to and fro: only those of decoding tell where a stream is.
        if packet.dts is not None:
            hand = self._moved(packet.stream.index, float(packet.dts * unit), float((packet.duration or 0) * unit))
        shift = round(self._shifts[-1 if hand is None else hand.shift] / unit)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift

    def _moved(self, index: int, own_s: float, duration_s: float) -> _Hand:
        """The hand of a stream, set to a packet that is decoded at `own_s`."""
        hand = self._hands.get(index)
        if hand is None:
            hand = self._hands[index] = _Hand(own_s, 0.0, len(self._shifts) - 1)
        elif not -self._most_back_s <= own_s - hand.own_s <= self._longest_step_s(hand):
            hand.shift = self._shift(own_s, hand)
        else:
            hand.longest_s = max(own_s - hand.own_s, hand.longest_s or 0.0)
        hand.own_s, hand.due_s = own_s, own_s + self._shifts[hand.shift] + duration_s
        return hand

    def _longest_step_s(self, hand: _Hand) -> float:
        """By how much a stream may go on without having leapt; one that is alone shows how often it comes."""
        if len(self._hands) > 1:
            return self._longest_leap_s
        return float("inf") if hand.longest_s is None else max(_MISSED * hand.longest_s, self._longest_leap_s)

    def _shift(self, own_s: float, hand: _Hand) -> int:
        """Which shift holds from here on for a stream whose times leapt to `own_s`."""
        late = [abs(own_s + shift - hand.due_s) for shift in self._shifts]
        nearest = min(range(len(late)), key=late.__getitem__)
        if late[nearest] <= _NEAR_S:
            return nearest
        for other in self._hands.values():
            # It went on to there, or past it, where a packet is known to be complete only when the next comes: a gap.
            gap = other.shift == hand.shift and hand.own_s < own_s <= other.own_s + _ONE_PLACE_S
            # It has leapt, and is there.
            if gap or (other.shift > hand.shift and abs(own_s - other.own_s) <= _ONE_PLACE_S):
                return other.shift
        # Another stream has come here before.
        for i in range(hand.shift + 1, len(late)):
            if late[i] <= _MOST_APART_S:
                return i
        self._shifts.append(hand.due_s - own_s)
        return len(self._shifts) - 1


def clock_text(seconds: float) -> str:
    """Seconds as minutes:seconds, or with hours, to a tenth.

    >>> clock_text(75), clock_text(3675), clock_text(2.5), clock_text(59.97)
    ('1:15', '1:01:15', '0:02.5', '1:00')
    """
    minutes, rest = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 10:04.1f}" if rest % 10 else f"{rest // 10:02d}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"
