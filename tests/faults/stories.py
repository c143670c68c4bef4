"""Stories drawn from seeds: what two people do in a chat, and what becomes of Redis meanwhile."""

from random import Random
from typing import Any

from tests.faults.model import PROCESSES, SIDES

STEPS = 100
PARTS = ["state", "tail", "marks"]
DISTURBANCES = ["flush", *PARTS, "ten seconds", "ten seconds", "a minute"]
# How often each thing happens; the names are those of the methods that do it.
WEIGHTS = {
    "send": 6,
    "resend": 3,
    "withdraw": 2,
    "newest_page": 4,
    "older_page": 1,
    "new_msg": 2,
    "session_list": 5,
    "session_del": 1,
    "disturb": 1,
    "cut_off": 1,
}

Step = tuple[str, dict[str, Any]]


def story(seed: int, teller: type) -> list[Step]:
    """Return steps, each a method of the teller and what it is called with."""
    chance = Random(seed)
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS)
    return [(name, {part: draw(part, chance) for part in parts(teller, name)}) for name in names]


def parts(teller: type, name: str) -> list[str]:
    return [part for part in getattr(teller, name).__annotations__ if part != "return"]


def draw(part: str, chance: Random) -> Any:
    if part == "trouble":  # what becomes of each question to Redis
        return chance.choices(["", "lost", "unanswered"], k=5) if chance.random() < 0.1 else []
    drawn = {
        "side": chance.choice(SIDES),
        "process": chance.choice(PROCESSES),
        "number": chance.randrange(1 << 16),
        "size": chance.choice([1, 2, 5, 100]),
        "what": chance.choice(DISTURBANCES),
        "requests": chance.randint(1, 6),
    }
    return drawn.get(part, chance.random() < 0.15)
