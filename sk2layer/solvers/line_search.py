"""How far to go in a direction: until the objective and its slope have fallen enough, by the strong Wolfe conditions.

With phi(t) the objective at theta + t * direction, a step t will do where

    phi(t) <= phi(0) + SUFFICIENT_DECREASE t phi'(0)    and    |phi'(t)| <= CURVATURE |phi'(0)|

(Nocedal & Wright 2006, section 3.1). A step of 1 is tried first. Their algorithms 3.5 and 3.6 are one loop here: as
long as the slope says that the minimum is further away, the step grows; once an interval holds it, that shrinks.

Near a minimum the objective may have no digits left to fall by. Then its slope decides (Hager & Zhang 2005).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from .base import Vector

SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.9  # what Nocedal & Wright give for quasi-Newton steps
LEAST_SHARE, LARGEST_SHARE = 0.1, 0.9  # of the interval between two steps, where the next one may lie: it shrinks so
HALF = 0.5  # where it lies if there is no cubic to ask
LEAST_GROWTH, LARGEST_GROWTH = 1.1, 4.0  # of the last interval, how much further (Moré & Thuente 1994)


class Point(NamedTuple):
    """What is known after a step: the weights, the objective, its gradient, and its slope in the direction."""

    step: float
    theta: Vector
    value: float
    gradient: Vector
    slope: float

    @property
    def is_finite(self) -> bool:
        """Whether the objective and its slope are finite."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


def search(evaluate: Callable[[float], Point], start: Point, max_evaluations: int, rounding: float) -> Point | None:
    """Return a point that satisfies both conditions, else the lowest one seen that satisfies the first, else None.

    A point that satisfies the second, and is no lower but equal to rounding, ends the search if none was lower so far.

    Parameters
    ----------
    evaluate : callable
        Returns the point after a step of any positive length.
    start : Point
        The point after a step of 0; its slope is negative.
    max_evaluations : int
        The number of points after which to give up.
    rounding : float
        How far two values of the objective may differ that count as equal.

    Returns
    -------
    point : Point or None
        The point to go on from.
    """
    low, high, step = start, None, 1.0  # the minimum lies on the side of `low` where it falls, short of `high`
    for _ in range(max_evaluations):
        point = evaluate(step)
        goal = start.value + SUFFICIENT_DECREASE * step * start.slope
        is_flat = abs(point.slope) <= -CURVATURE * start.slope
        if not (point.is_finite and point.value <= goal and point.value < low.value):
            if is_flat and low is start and point.value <= start.value + rounding:
                return point
            high = point
        elif is_flat:
            return point
        else:
            ahead = high is None or high.step > point.step
            if (point.slope < 0.0) != ahead:
                high = low
            low, last = point, low
        step = _beyond(last, low) if high is None else _between(low, high)
        if step in (low.step, (high or low).step) or not math.isfinite(step):  # no number is left between, or beyond
            break
    return None if low is start else low


def _between(low: Point, high: Point) -> float:
    """Return a step between two, where the cubic through them is lowest but not too close to either."""
    width, share = high.step - low.step, LEAST_SHARE
    if high.is_finite:
        share = (_lowest(low, high) - low.step) / width
        share = HALF if math.isnan(share) else min(max(share, LEAST_SHARE), LARGEST_SHARE)
    return low.step + share * width


def _beyond(last: Point, point: Point) -> float:
    """Return a longer step, where the cubic through the last two is lowest if that is ahead but not too far."""
    width = point.step - last.step
    growth = (_lowest(last, point) - point.step) / width
    if not growth > 0.0:  # the cubic falls for ever
        growth = LARGEST_GROWTH
    return point.step + width * min(max(growth, LEAST_GROWTH), LARGEST_GROWTH)


def _lowest(a: Point, b: Point) -> float:
    """Return where the cubic with the values and slopes of two points has its minimum, nan where it has none.

    It is equation (3.59) of Nocedal & Wright (2006).
    """
    mean = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step)
    square = mean * mean - a.slope * b.slope
    if not square >= 0.0:
        return math.nan
    root = math.copysign(math.sqrt(square), b.step - a.step)
    divisor = b.slope - a.slope + 2.0 * root
    return b.step - (b.step - a.step) * (b.slope + root - mean) / divisor if divisor else math.nan
