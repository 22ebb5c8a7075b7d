"""An error that a learner can act on: two lines instead of a traceback."""


class WorkshopError(Exception):
    """What went wrong, and what to do about it.

    Args:
        problem: what was tried and what happened, in a line.
        remedy: what to do, in a line.
    """

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}\n{remedy}")

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: show these lines alone, for the code that raised is none of the learner's."""
        return str(self).splitlines()
