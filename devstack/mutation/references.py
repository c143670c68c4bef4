"""Which functions refer to a name of a module or class, directly or through other such names.

Names are matched as they are written, wherever they are defined: a name that two modules use finds the users of both.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from devstack.mutation.mutants import FUNCTIONS, get_bound_name

STEPS = 4  # a constant of a model that is a field of a model that an endpoint takes

User = tuple[str, tuple[int, int]]  # file, first and last line of a function's body


class References:
    """Which functions use which module-level names."""

    def __init__(self, root: Path, source: str) -> None:
        self.functions: dict[str, list[User]] = defaultdict(list)  # name -> functions that contain it
        self.holders: dict[str, set[str]] = defaultdict(set)  # name -> names whose values contain it
        for path in sorted((root / source).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                self.add(str(path.relative_to(root)), node, "")

    def add(self, path: str, node: ast.stmt, holder: str) -> None:
        """Add the names that a statement uses."""
        if isinstance(node, FUNCTIONS):
            span = (node.body[0].lineno, node.end_lineno or node.lineno)
            for name in {*list_names(node), *([holder] if holder else [])}:  # who uses a class runs its methods
                self.functions[name].append((path, span))
            return
        holder = holder or get_bound_name(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self.add(path, child, holder)
            else:
                for name in list_names(child):
                    self.holders[name].add(holder)

    def find_users(self, name: str) -> set[User]:
        """The functions that refer to the name, in at most STEPS steps."""
        seen: set[str] = {""}
        pending = {name}
        found: set[User] = set()
        for _ in range(STEPS):
            found.update(user for one in pending for user in self.functions.get(one, ()))
            seen |= pending
            pending = {holder for one in pending for holder in self.holders.get(one, ())} - seen
        return found


def list_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node contains."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr
