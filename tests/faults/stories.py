"""Stories drawn from seeds: what people do in a chat, and what becomes of Redis meanwhile."""

import os
from random import Random
from typing import Any

import pytest

from tests.faults.model import PROCESSES, SIDES
from tests.people import Hospital

STORIES = int(os.environ.get("PROPERTY_STORIES", "40"))
SEED = int(os.environ.get("PROPERTY_SEED", "0"))
STEPS = 100
PARTS = ["state", "tail", "marks"]
DISTURBANCES = ["flush", *PARTS, "ten seconds", "ten seconds", "a minute"]
Step = tuple[str, dict[str, Any]]


def check_stories(teller: type, weights: dict[str, int], hospital: Hospital) -> None:
    """Tell stories, and one that goes wrong again in as few steps as it takes.

    weights says how often each thing happens; the names are those of the methods that do it.
    """
    for seed in range(SEED, SEED + STORIES):
        steps = story(seed, teller, weights)
        if told(steps, teller, hospital):
            steps = shortened(steps, teller, hospital)
            lines = "\n".join(f"{name} {parts}" for name, parts in steps)
            raise AssertionError(f"story {seed}:\n{lines}") from told(steps, teller, hospital)


def told(steps: list[Step], teller: type, hospital: Hospital) -> BaseException | None:
    """What went wrong, if anything did."""
    scene = teller(hospital)
    try:
        for name, parts in steps:
            getattr(scene, name)(**parts)
        scene.end()
    except (Exception, pytest.fail.Exception) as error:
        return error
    return None


def shortened(steps: list[Step], teller: type, hospital: Hospital) -> list[Step]:
    """Leave out whatever it fails without."""
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            fewer = steps[:start] + steps[start + size :]
            if told(fewer, teller, hospital):
                steps = fewer
        size //= 2
    return steps


def story(seed: int, teller: type, weights: dict[str, int]) -> list[Step]:
    """Return steps, each a method of the teller and what it is called with."""
    chance = Random(seed)
    names = chance.choices(list(weights), list(weights.values()), k=STEPS)
    return [(name, {part: draw(part, chance) for part in parts(teller, name)}) for name in names]


def parts(teller: type, name: str) -> list[str]:
    return [part for part in getattr(teller, name).__annotations__ if part != "return"]


def draw(part: str, chance: Random) -> Any:
    if part == "trouble":  # what becomes of each question to Redis
        return chance.choices(["", "lost", "unanswered"], k=5) if chance.random() < 0.1 else []
    drawn = {
        "side": chance.choice(SIDES),
        "who": chance.choice(["guo", "han", "lin"]),
        "process": chance.choice(PROCESSES),
        "number": chance.randrange(1 << 16),
        "size": chance.choice([1, 2, 5, 100]),
        "what": chance.choice(DISTURBANCES),
        "requests": chance.randint(1, 6),
    }
    return drawn.get(part, chance.random() < 0.15)
