"""Stories drawn from seeds: what people do in a chat, and what becomes of Redis meanwhile."""

import os
from random import Random
from typing import Any

import pytest

from tests.support.factories import Hospital
from tests.support.faults.reference_model import PROCESSES, SIDES

SCENARIO_COUNT = int(os.environ.get("PROPERTY_STORIES", "40"))
SEED = int(os.environ.get("PROPERTY_SEED", "0"))
STEP_COUNT = 100
REDIS_KEY_PARTS = ["state", "messages", "write_intents"]
DISTURBANCES = ["flush", *REDIS_KEY_PARTS, "ten seconds", "ten seconds", "a minute"]
Step = tuple[str, dict[str, Any]]


def check_scenarios(teller: type, weights: dict[str, int], hospital: Hospital) -> None:
    """Tell stories, and one that goes wrong again in as few steps as it takes.

    weights says how often each thing happens; the names are those of the methods that do it.
    """
    for seed in range(SEED, SEED + SCENARIO_COUNT):
        steps = generate_scenario(seed, teller, weights)
        if run_scenario(steps, teller, hospital):
            steps = shrink_scenario(steps, teller, hospital)
            lines = "\n".join(f"{name} {parts}" for name, parts in steps)
            raise AssertionError(f"story {seed}:\n{lines}") from run_scenario(steps, teller, hospital)


def run_scenario(steps: list[Step], teller: type, hospital: Hospital) -> BaseException | None:
    """What went wrong, if anything did."""
    scene = teller(hospital)
    try:
        for name, parts in steps:
            getattr(scene, name)(**parts)
        scene.end()
    except (Exception, pytest.fail.Exception) as error:
        return error
    return None


def shrink_scenario(steps: list[Step], teller: type, hospital: Hospital) -> list[Step]:
    """Leave out whatever it fails without."""
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            fewer = steps[:start] + steps[start + size :]
            if run_scenario(fewer, teller, hospital):
                steps = fewer
        size //= 2
    return steps


def generate_scenario(seed: int, teller: type, weights: dict[str, int]) -> list[Step]:
    """Return steps, each a method of the teller and what it is called with."""
    chance = Random(seed)
    names = chance.choices(list(weights), list(weights.values()), k=STEP_COUNT)
    return [(name, {part: draw_argument(part, chance) for part in list_parameters(teller, name)}) for name in names]


def list_parameters(teller: type, name: str) -> list[str]:
    return [part for part in getattr(teller, name).__annotations__ if part != "return"]


def draw_argument(part: str, chance: Random) -> Any:
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
