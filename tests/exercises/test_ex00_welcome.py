"""Classic mistakes of notebook 00."""

from workshop.checks.exercises.ex00_welcome import (
    an_account_starts_at_zero,
    deposits_add_up,
    money_stays_exact,
    other_events_change_nothing,
    withdrawals_are_taken_off,
)

from .mistakes import AS_OURS, Mistake

MISTAKES = (
    Mistake("00.1", "no return", {"    return balance": ""},
            an_account_starts_at_zero, "Is there a `return`"),
    Mistake("00.1", "prints instead of returning", {"return balance": "print(balance)"},
            an_account_starts_at_zero, "To print a number shows it to you"),
    Mistake("00.1", "returns inside the loop", {"    return balance": "        return balance"},
            deposits_add_up, "Then it ends at the first event"),
    Mistake("00.1", "returns at the first deposit",
            {"balance += amount": "balance += amount\n            return balance"},
            deposits_add_up, "is the `return` inside the loop?"),
    Mistake("00.1", "replaces the balance instead of adding", {"balance += amount": "balance = amount"},
            deposits_add_up, "the last one alone"),
    Mistake("00.1", "starts from a float", {"Decimal(0)": "0.0"},
            deposits_add_up, "Begin from 0, or from Decimal(0)"),
    Mistake("00.1", "looks at nothing", "def balance(history):\n    return 0\n",
            deposits_add_up, "Go through the history"),
    Mistake("00.1", "adds every amount", {'if type == "DepositRecorded"': "if amount", "balance -= amount": "pass"},
            withdrawals_are_taken_off, "the withdrawal was added"),
    Mistake("00.1", "passes the withdrawal over", {"CashWithdrawn": "CashWithdrawal"},
            withdrawals_are_taken_off, "CashWithdrawn was passed over"),
    Mistake("00.1", "a global balance", '''
from decimal import Decimal

total = Decimal(0)

def balance(history):
    global total
    for type, amount in history:
        if type == "DepositRecorded":
            total += amount
        elif type == "CashWithdrawn":
            total -= amount
    return total
''',
            withdrawals_are_taken_off, "Does something survive from the call before"),
    Mistake("00.1", "all but a deposit is a withdrawal", {
        'if type == "DepositRecorded"': 'if type == "AccountOpened":\n            balance = Decimal(0)\n'
                                        '        elif type == "DepositRecorded"',
        'elif type == "CashWithdrawn":': "else:",
    },
            other_events_change_nothing, "AccountClosed carries no amount"),
    Mistake("00.1", "all but a deposit is a withdrawal, from the first event on", {'elif type == "CashWithdrawn":': "else:"},
            an_account_starts_at_zero, "AccountOpened carries no amount"),
    Mistake("00.1", "a closed account holds nothing",
            {"    return balance": '        elif type == "AccountClosed":\n            balance = Decimal(0)\n'
                                   "    return balance"},
            other_events_change_nothing, "50.00 stay 50.00. Yours: Decimal('0')"),
    Mistake("00.1", "float money", {"Decimal(0)": "0", "+= amount": "+= float(amount)", "-= amount": "-= float(amount)"},
            money_stays_exact, "keep the Decimal"),
    Mistake("00.1", "never below 0", {"    return balance": "    return max(balance, Decimal(0))"},
            AS_OURS, "It should have returned Decimal('-5'). It returned Decimal('0')"),
    Mistake("00.1", "a part of the name", {'type == "DepositRecorded"': '"Deposit" in type'},
            AS_OURS, "The type is compared as a whole name"),
    Mistake("00.1", "empties the history", {"for type, amount in history:": "while history:\n        type, amount = history.pop(0)"},
            AS_OURS, "What it was given is changed"),
    Mistake("00.1", "rounds to halves", {"return balance": "return round(balance * 2) / Decimal(2)"},
            money_stays_exact, "Yours: Decimal('0.5')"),
)  # fmt: skip
