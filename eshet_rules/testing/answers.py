"""The answers of `why` and `why-not` in a house."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.supervision.report import RuleReport
from eshet_rules.testing.happenings import Happenings
from eshet_rules.why.drives import drive_lines
from eshet_rules.why.explanation import explain
from eshet_rules.why.sources import ListedRecords
from eshet_rules.why.wording import Wording
from eshet_rules.why_not.answering import Answering
from eshet_rules.why_not.wording import Wording as NotWording

__all__ = ["Answers"]


class Answers:
    """Answers as the commands print them.

    Args:
        happenings: the inputs and outputs so far.
        instances: returns the running instances of modules.
        drive_of: returns the report on a path with drivers, and else None.
    """

    def __init__(
        self,
        happenings: Happenings,
        instances: Callable[[], Iterator[ModuleInstance]],
        drive_of: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._happenings: Final = happenings
        self._instances: Final = instances
        self._drive_of: Final = drive_of

    def why(self, path: str, now: datetime, zone: tzinfo | None) -> str:
        """Return why a path has its value."""
        records = ListedRecords(each.plain() for each in self._happenings.all)
        wording = Wording(now.astimezone(UTC), zone, self._place_of)
        lines = [*wording.lines(explain(path, records))]
        drive = self._drive_of(path)
        if drive is not None:
            lines += drive_lines(drive, now, zone)
        return "\n".join(lines)

    def why_not(
        self, path: str, wanted: Sequence[object], depth: int, now: datetime, zone: tzinfo | None
    ) -> str:
        """Return the changes that a path needs to have another value.

        Args:
            path: the path.
            wanted: the wanted value, in a list; if that is empty, another one than the present: of
                a bool, the opposite.
            depth: the maximum number of rules one after another.
            now: the present.
            zone: of the times; None for the local one.

        Raises:
            RuntimeError: no event loop is running.
        """
        present = [value for _, value in self._happenings.published(path)[-1:]]
        if not wanted and present and isinstance(present[0], bool):
            wanted = [not present[0]]
        answering = Answering(
            self._instances, self._reports, self._happenings.last, drive_of=self._drive_of
        )
        answer = answering.why_not(path, list(wanted), depth)
        return "\n".join(NotWording(now.astimezone(UTC), zone).lines(answer, present))

    def _reports(self) -> list[RuleReport]:
        return [each for instance in self._instances() for each in instance.reports()]

    def _place_of(self, output: Mapping[str, Any]) -> str:
        for each in self._instances():
            for sink in each.sinks().get(output["rule"], ()):
                if sink.path == output["path"]:
                    return sink.place
        return ""
