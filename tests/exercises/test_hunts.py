"""Hunts: every suspect can be convicted by calls on its promise alone, and a learner always meets the same one."""

from collections import Counter

import pytest

from workshop.checks import guard, hunts, kept
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.hunts import Slip
from workshop.classroom import suspect
from workshop.errors import WorkshopError

from ..postgres import Server
from .mistakes import defined_in, failures

BANK = """
from decimal import Decimal
from workshop.bank import *

opened, closed = AccountOpened("account-1", "PLN"), AccountClosed("account-1")
open_it, close_it = OpenAccount("account-1", "PLN"), CloseAccount()

def money(kind, amount):
    return kind(Decimal(amount), "anna")

def paid_in(amount):
    return DepositRecorded("account-1", Decimal(amount), "anna")

def convict(given):
"""
DASHBOARD = """
from decimal import Decimal
from uuid import uuid4
from workshop.bank import CashierEmployed, DepositRecorded

def deposit(amount, cashier="anna", account="account-1"):
    return DepositRecorded(account, Decimal(amount), cashier)

def convict(store):
    for cashier in PROMISED:
        store.append(cashier, [CashierEmployed(cashier, cashier.title())])
"""
READER = """
from decimal import Decimal
from workshop.bank import AccountOpened, DepositRecorded

deposit = DepositRecorded("account-1", Decimal(10), "anna")

def convict(reader):
"""
# By exercise and promise.
CONVICTIONS = {
    "04.4": {
        1: BANK + """
    given(opened, closed).when(open_it).then_refused()
    given(opened).when(open_it).then_refused()
    return 1
""",
        2: BANK + """
    given(opened, closed).when(money(RecordDeposit, 5)).then_refused()
    given().when(money(RecordDeposit, 5)).then_refused()
    return 2
""",
        3: BANK + """
    given(opened).when(money(RecordDeposit, 0)).then_refused()
    given(opened).when(money(RecordDeposit, -1)).then_refused()
    return 3
""",
        4: BANK + """
    given(opened, paid_in(100)).when(money(WithdrawCash, "100.50")).then_refused()
    return 4
""",
        5: BANK + """
    given(opened, paid_in("0.01")).when(close_it).then_refused()
    return 5
""",
    },
    "06.5": {
        1: DASHBOARD.replace("PROMISED", '("anna", "ben")') + """
    store.append("account-1", [deposit(1), deposit(2, "ben"), deposit(4)])
    assert (store.row("anna")[1:], store.row("ben")[1:]) == ((2, 5), (1, 2)), "a deposit was lost"
    return 1
""",
        2: DASHBOARD.replace("PROMISED", '("anna",)') + """
    store.append("account-1", [deposit(1)])
    store.append("account-1", [deposit(2)])
    assert store.row("anna") == ("Anna", 2, 3), store.row("anna")
    return 2
""",
        3: DASHBOARD.replace("PROMISED", "()") + """
    store.append("account-1", [deposit(1)])
    assert store.row("anna") == (None, 1, 1), store.row("anna")
    return 3
""",
        4: DASHBOARD.replace("PROMISED", '("anna",)') + """
    how = {"expected_version": 0, "event_ids": [uuid4()]}
    for _ in range(2):
        store.append("account-1", [deposit(1)], **how)
    assert store.row("anna")[1:] == (1, 1), store.row("anna")
    return 4
""",
    },
    "08.6": {
        1: READER + """
    reader.store.append("account-1", [deposit])
    for _ in range(3):
        reader.step()
    assert reader.handled() == [1], reader.handled()
    return 1
""",
        2: READER + """
    reader.store.append("account-1", [deposit] * 5)
    reader.step(), reader.step()
    assert reader.handled() == [1, 2, 3, 4, 5], reader.handled()
    return 2
""",
        3: READER + """
    with reader.other_store.connection.transaction():
        reader.other_store.append("account-2", [deposit])
        reader.store.append("account-1", [deposit])
        reader.step()
    reader.step()
    assert reader.handled() == [1, 2], reader.handled()
    return 3
""",
        4: READER + """
    reader.store.append("account-1", [deposit])
    try:
        reader.step(fails=True)
    except Exception:
        pass
    reader.step()
    assert reader.handled() == [1], reader.handled()
    return 4
""",
        5: READER + """
    reader.store.append("account-1", [AccountOpened("account-1", "PLN")])
    assert reader.step() == 1, "it comes back to what it does not want"
    return 5
""",
    },
}  # fmt: skip
HUNTS = {exercise.id: exercise.hunt for exercise in EXERCISES.values() if exercise.hunt}
SLIPS = [pytest.param(name, slip, id=f"{name} {slip.fault}") for name, hunt in HUNTS.items() for slip in hunt.slips]


@pytest.fixture(autouse=True)
def nobody_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hunts, "handed_out", {})


@pytest.mark.parametrize(("exercise_id", "slip"), SLIPS)
def test_every_suspect_can_be_convicted_alone(exercise_id: str, slip: Slip, postgres: Server) -> None:
    exercise, hunt = EXERCISES[exercise_id], HUNTS[exercise_id]
    answer = defined_in(CONVICTIONS[exercise_id][slip.promise])
    hunts.handed_out[exercise_id] = slip
    report = run_checks(exercise, answer, postgres.url)
    assert report.passed, failures(report)
    hunts.handed_out[exercise_id] = next(each for each in hunt.slips if each.promise != slip.promise)
    report = run_checks(exercise, answer, postgres.url)
    assert report.failed_check == "Yours is convicted", failures(report)


@pytest.mark.parametrize("exercise_id", HUNTS)
def test_each_learner_meets_one_and_always_the_same(exercise_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hunt = HUNTS[exercise_id]
    assert {slip.promise for slip in hunt.slips} == {*range(1, hunt.promises + 1)}

    def of(learner: str) -> Slip:
        monkeypatch.setattr(hunts, "_learner", lambda: learner)
        assert hunts.hand_out(exercise_id, hunt) is hunts.hand_out(exercise_id, hunt) is hunts.handed_out[exercise_id]
        return hunts.handed_out[exercise_id]

    met = Counter(of(f"learner_{number}").fault for number in range(300))
    assert len(met) == len(hunt.slips) and min(met.values()) > 300 / len(hunt.slips) / 3


def test_a_solution_meets_the_one_that_it_convicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "is_throwaway", lambda: True)
    assert all(hunts.hand_out(exercise_id, hunt) is hunt.slips[0] for exercise_id, hunt in HUNTS.items())


def test_whoever_is_graded_may_have_met_any(monkeypatch: pytest.MonkeyPatch, postgres: Server) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    for exercise_id, hunt in HUNTS.items():
        hunts.hand_out(exercise_id, hunt)
        last = hunt.slips[-1].promise
        report = run_checks(EXERCISES[exercise_id], defined_in(CONVICTIONS[exercise_id][last]), postgres.url)
        assert report.passed, failures(report)


@pytest.mark.parametrize(
    ("until", "promise", "fails", "says"),
    [
        (6, 1, "One without a fault passes", "keeps every promise, and your test fails on it"),
        (5, 1, "Yours is convicted", "On your reader"),
        (5, 2, "Those with other faults pass", "breaks promise 1, your test comes to no verdict"),
    ],
)
def test_the_one_on_which_a_test_does_not_end_is_named(
    until: int, promise: int, fails: str, says: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LIMIT", 0.5)
    exercise = EXERCISES["08.6"]
    hunts.handed_out["08.6"] = next(slip for slip in exercise.hunt.slips if slip.promise == promise)
    test = f"""
    reader.store.append("account-1", [deposit] * 5)
    while reader.step() < {until}: pass
    assert reader.handled() == [1, 2, 3, 4, 5], reader.handled()
    return {promise}
"""
    report = run_checks(exercise, defined_in(READER + test), postgres.url)
    assert report.failed_check == fails, failures(report)
    assert says in failures(report)[0] and f"of the cell: while reader.step() < {until}: pass" in failures(report)[0]


def test_a_scenario_that_waits_for_a_right_bank_is_told(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LIMIT", 0.2)
    test = """
    while True:
        try:
            return given(opened, paid_in(100)).when(money(WithdrawCash, 30)).then(CashWithdrawn("account-1", Decimal(30), "anna"))
        except AssertionError:
            pass
"""
    (said,) = failures(run_checks(EXERCISES["04.3"], defined_in(BANK + test), postgres.url))
    assert "On a bank that does nothing right" in said and "It had not ended after" in said


def test_what_is_no_hunt_is_told() -> None:
    with pytest.raises(WorkshopError, match=r"^Exercise 04.1 is no hunt\."):
        suspect("04.1")
