"""The numbers of the steps, from the step directories: a test that needs all of them, or the last, takes them here."""

from __future__ import annotations

from callctl.migration.steps.numbered import DROPS, all_steps

ALL = tuple(step.number for step in all_steps())
LAST = ALL[-1]
EXPANDED = tuple(number for number in ALL if number not in DROPS)
"""What is applied where the drops are deferred."""
