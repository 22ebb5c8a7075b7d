"""Measure rooms of several sizes, and print the figures as Markdown: python -m tests.room.load --learners 10 30"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterable

import psutil
import pytest

from .proof import nothing_is_lost, nothing_is_seen_by_another, the_dashboard_agrees
from .session import Session, session

PACE = 10.0
_PROOFS = {
    "nobody's work was lost": nothing_is_lost,
    "nobody saw another's": nothing_is_seen_by_another,
    "the dashboard showed the same": the_dashboard_agrees,
}


def percentile_95(seconds: Iterable[float]) -> float:
    """Return what 95 of 100 do not exceed."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def seconds_at_once(done: Session) -> list[float]:
    """Return what each check took that brought a verdict, of those who worked at once."""
    return [seconds for learner in done.learners for seconds in learner.notes.seconds]


def seconds_alone(done: Session) -> list[float]:
    """Return what each check took that brought a verdict, of those who worked alone, before and after."""
    return [seconds for learner in done.alone for seconds in learner.notes.seconds]


def seconds_to_a_verdict(done: Session) -> list[float]:
    """Return how long those who worked at once had to wait for each verdict, through kills and the crash."""
    return [seconds for learner in done.learners for seconds in learner.notes.waited]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.room.load", description=__doc__)
    parser.add_argument("--learners", type=int, nargs="+", default=[10, 30], metavar="N")
    parser.add_argument(
        "--pace", type=float, default=PACE, metavar="TIMES",
        help=f"how many times faster than real learners, who check every one to two minutes ({PACE:g}); 0: no thinking",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    pace = given.pace or math.inf
    columns = []
    for count in given.learners:
        print(f"{count} learners ...", file=sys.stderr, flush=True)
        with session(count, pace, alone=math.isfinite(pace)) as done:
            columns.append(_figures(done, pace) | {title: _kept(proof, done) for title, proof in _PROOFS.items()})
    print(_markdown(columns))
    if any(column[title] != "yes" for column in columns for title in _PROOFS):
        sys.exit("A room did not keep what it has to.")


def _kept(proof: Callable[[Session], None], done: Session) -> str:
    try:
        proof(done)
    except (Exception, pytest.fail.Exception) as error:  # whatever it is, the figures are worth seeing
        print(f"{proof.__name__}: {error!r}", file=sys.stderr)
        return "NO"
    return "yes"


def _figures(done: Session, pace: float) -> dict[str, str]:
    together, alone, waited = seconds_at_once(done), seconds_alone(done), seconds_to_a_verdict(done)
    notes = [learner.notes for learner in done.learners]
    checks = len(together)
    clients = sum(learner.cpu for learner in done.learners)
    figures = {
        "learners": f"{len(done.learners)}",
        "checks, and how many a second": f"{checks}, {checks / done.seconds:.1f}",
        "a check that brought a verdict: half of them within": f"{statistics.median(together) * 1000:.0f} ms",
        "95 of 100 within": f"{percentile_95(together) * 1000:.0f} ms",
        "the longest": f"{max(together) * 1000:.0f} ms",
        "from the first try to the verdict, through kills and the crash: 95 of 100 within": (
            f"{percentile_95(waited) * 1000:.0f} ms"
        ),
        "the longest, with a new kernel or the server's start in it": f"{max(waited) * 1000:.0f} ms",
    }
    if alone:
        figures |= {
            "one learner alone: half / 95 of 100 / the longest": " / ".join(
                f"{each * 1000:.0f}" for each in (statistics.median(alone), percentile_95(alone), max(alone))
            )
            + " ms",
            "95 of 100, beside one alone": f"{percentile_95(together) / percentile_95(alone):.2f} times",
        }
    figures |= {
        "connections at once, at most": f"{done.connections}; of one learner {done.of_one_learner}",
        "memory of the server": f"{done.memory / 2**20:,.0f} MB",
        "memory of a kernel": f"{done.kernel / 2**20:,.0f} MB",
        "cores that the server used": f"{done.server_cpu / done.seconds:.2f}",
        "cores that the kernels used": f"{clients / done.seconds:.2f}",
        "processor time of a check: server, kernel": (
            f"{done.server_cpu / checks * 1000:.0f} ms, {clients / checks * 1000:.0f} ms"
        ),
        "a learner's database; the log": f"{statistics.mean(done.sizes) / 1e6:.0f} MB; {done.log_size / 1e6:.0f} MB",
        "kernels killed; checks repeated; attempts sent later": (
            f"{sum(n.killed for n in notes)}; {sum(n.repeated for n in notes)}; {sum(n.kept for n in notes)}"
        ),
        "the server was away for": f"{done.away:.1f} s",
        "time": f"compressed {pace:g} times" if math.isfinite(pace) else "no time to think",
    }
    return figures


def _markdown(columns: list[dict[str, str]]) -> str:
    rows = list(dict.fromkeys(name for column in columns for name in column))
    lines = [f"| {name} | {' | '.join(column.get(name, '') for column in columns)} |" for name in rows]
    lines.insert(1, f"|:---|{'---:|' * len(columns)}")
    machine = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB, kernels and server on it"
    return "\n".join([*lines, "", f"Measured on {machine}."])


if __name__ == "__main__":
    main()
