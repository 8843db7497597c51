"""Times of a video: one clock for all streams of a file, which goes on where the file's own begin anew or leap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from av.packet import Packet

# Packets lie in the file in the order of decoding; what goes back by more has begun anew.
_MOST_BACK_S = 0.5
# A known shift that brings a packet so near to where it is expected is taken again: the times only strayed for a while.
_NEAR_S = 0.5
# By so much, sound and pictures of one part of a joined file end apart at most.
_MOST_APART_S = 10.0


@dataclass
class _Hand:
    """Where one stream is: its own time, when its next packet is due on the clock, and the shift between the two."""

    own_s: float
    due_s: float
    shift: int


@final
class Clock:
    """Sets the times of packets, in the order in which they lie in the file.

    Television streams begin anywhere; those that were joined begin anew in the middle, and damage makes times leap.
    There the clock goes on as if nothing were, and the stream that comes there later gets the same shift, so that
    pictures and sound stay together.

    Args:
        start_s: the file's time that is zero.
        longest_leap_s: a stream without a packet for longer has leapt.
    """

    def __init__(self, start_s: float, longest_leap_s: float) -> None:
        self._longest_leap_s = longest_leap_s
        self._shifts = [-start_s]
        self._hands: dict[int, _Hand] = {}

    @property
    def shifted(self) -> bool:
        """Whether times began anew or leapt so far."""
        return len(self._shifts) > 1

    def set(self, packet: Packet[Any]) -> None:
        """Change a packet's times to those of the clock; one that has none is left alone."""
        ticks, unit = packet.pts if packet.dts is None else packet.dts, packet.time_base
        if ticks is None or not unit:
            return
        own_s = float(ticks * unit)
        hand = self._hands.get(packet.stream.index)
        if hand is None:
            hand = self._hands[packet.stream.index] = _Hand(own_s, 0.0, len(self._shifts) - 1)
        elif not -_MOST_BACK_S <= own_s - hand.own_s <= self._longest_leap_s:
            hand.shift = self._shift(own_s, hand)
        shift_s = self._shifts[hand.shift]
        hand.own_s, hand.due_s = own_s, own_s + shift_s + float((packet.duration or 0) * unit)
        shift = round(shift_s / unit)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift

    def _shift(self, own_s: float, hand: _Hand) -> int:
        """Which shift holds from here on for a stream whose times leapt to `own_s`."""
        late = [abs(own_s + shift - hand.due_s) for shift in self._shifts]
        nearest = min(range(len(late)), key=late.__getitem__)
        if late[nearest] <= _NEAR_S:
            return nearest
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
