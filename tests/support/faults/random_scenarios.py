"""Random scenarios generated from seeds: steps of a chat, and faults of Redis."""

import os
from random import Random
from typing import Any

import pytest

from tests.support.factories import Hospital
from tests.support.faults.reference_model import PROCESSES, SIDES

SCENARIO_COUNT = int(os.environ.get("PROPERTY_SCENARIOS", "40"))
SEED = int(os.environ.get("PROPERTY_SEED", "0"))
STEP_COUNT = 100
REDIS_KEY_PARTS = ["state", "messages", "write_intents"]
DISTURBANCES = ["flush", *REDIS_KEY_PARTS, "ten seconds", "ten seconds", "a minute"]
Step = tuple[str, dict[str, Any]]


def check_scenarios(model_type: type, weights: dict[str, int], hospital: Hospital) -> None:
    """Run scenarios; raise AssertionError with the shortest form of the first that fails.

    Args:
        weights: the relative frequency of each step; the names are those of the methods that execute it.
    """
    for seed in range(SEED, SEED + SCENARIO_COUNT):
        steps = generate_scenario(seed, model_type, weights)
        if run_scenario(steps, model_type, hospital):
            steps = shrink_scenario(steps, model_type, hospital)
            lines = "\n".join(f"{name} {arguments}" for name, arguments in steps)
            raise AssertionError(f"scenario {seed}:\n{lines}") from run_scenario(steps, model_type, hospital)


def run_scenario(steps: list[Step], model_type: type, hospital: Hospital) -> BaseException | None:
    """Return the error with which a scenario fails, None if it succeeds."""
    model = model_type(hospital)
    try:
        for name, arguments in steps:
            getattr(model, name)(**arguments)
        model.end()
    except (Exception, pytest.fail.Exception) as error:
        return error
    return None


def shrink_scenario(steps: list[Step], model_type: type, hospital: Hospital) -> list[Step]:
    """Return the scenario without the steps that its failure does not need."""
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            fewer = steps[:start] + steps[start + size :]
            if run_scenario(fewer, model_type, hospital):
                steps = fewer
        size //= 2
    return steps


def generate_scenario(seed: int, model_type: type, weights: dict[str, int]) -> list[Step]:
    """Return steps, each the name of a method and its arguments."""
    random = Random(seed)
    names = random.choices(list(weights), list(weights.values()), k=STEP_COUNT)
    return [
        (name, {parameter: draw_argument(parameter, random) for parameter in list_parameters(model_type, name)})
        for name in names
    ]


def list_parameters(model_type: type, name: str) -> list[str]:
    return [parameter for parameter in getattr(model_type, name).__annotations__ if parameter != "return"]


def draw_argument(parameter: str, random: Random) -> Any:
    if parameter == "faults":  # of each call of Redis
        return random.choices(["", "lost", "unanswered"], k=5) if random.random() < 0.1 else []
    drawn = {
        "side": random.choice(SIDES),
        "user": random.choice(["guo", "han", "lin"]),
        "process": random.choice(PROCESSES),
        "number": random.randrange(1 << 16),
        "size": random.choice([1, 2, 5, 100]),
        "disturbance": random.choice(DISTURBANCES),
        "requests": random.randint(1, 6),
    }
    return drawn.get(parameter, random.random() < 0.15)
