"""What one line of the table of changes says: `changes.py` has the table."""

from __future__ import annotations

from dataclasses import dataclass

from .catalogue import Scenario

BASE = "2.13.0"  # what minicnn follows unless `mirror` says otherwise
KINDS = {
    "behaviour": "other hooks run, in another order or with other values",
    "warning": "a warning comes, goes or is of another kind",
    "name": "something new, or gone",
    "text": "the words of an error, a warning or a repr",
}


@dataclass(frozen=True)
class Change:
    since: str  # the first minor release that has it
    kind: str  # one of KINDS
    text: str
    rules: tuple[str, ...]  # that show it: see `covers`
    mirrored: bool = False
    ahead: bool = False

    def concerns(self, scenario: Scenario) -> bool:
        return any(covers(rule, scenario) for rule in self.rules)

    def between(self, older: str, newer: str) -> bool:
        """Whether it came after the one version and not after the other."""
        return minor(older) < minor(self.since) <= minor(newer)

    def parts_from(self, version: str) -> bool:
        """Whether minicnn, mirroring this version, is on the other side of it all the same."""
        followed = self.ahead or minor(self.since) <= minor(BASE)
        return not self.mirrored and followed != (minor(self.since) <= minor(version))


def covers(rule: str, scenario: Scenario) -> bool:
    """Whether the scenario is of this group ("leaf."), this rule with all its cases, or this case ("rule[case]")."""
    name = str(scenario)
    return name.startswith(rule) if rule.endswith(".") else rule in (name, name.split("[")[0])


def minor(version: str) -> tuple[int, int]:
    major, second = version.split(".")[:2]
    return int(major), int(second)
