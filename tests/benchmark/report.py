"""The results of a comparison as Markdown: the numbers, what they are in relation to the limit and to the best peer."""

import statistics
from typing import Any


def markdown(results: dict[str, Any]) -> str:
    """Return the report: the table, the ratios, what was left out, and where the numbers come from."""
    about, rows = results["about"], results["rows"]
    stores = {store: facts for store, facts in about["stores"].items() if not facts["left_out"]}
    lines = [
        "A number a second: more is better. The median of " + _rounds(rows) + " rounds, and in brackets the middle half"
        " of them.",
        "",
        _line(["", *(facts["name"] for facts in stores.values())]),
        _line(["---", *("---:" for _ in stores)]),
        *(_line([f"{row['title']} ({row['unit']}/s)", *(_number(row["cells"][s]) for s in stores)]) for row in rows),
        "",
        "Each beside the limit, and the kit beside the best peer, round by round; the median of these ratios:",
        "",
        *_ratios(rows, stores),
        "",
        *(f"- **{f['name']}** {f['version']}: {f['used']}. Durable by {f['flushes']}." for f in stores.values()),
        *(f"- **{f['name']}** was left out: {f['left_out']}." for f in about["stores"].values() if f["left_out"]),
        *(
            f"- {row['title']}: {stores[store]['name']} failed: {cell['failed']}"
            for row in rows
            for store, cell in row["cells"].items()
            if "failed" in cell
        ),
        "",
        f"{about['date'][:10]}, {about['machine']}; PostgreSQL {about['postgresql']} with "
        + ", ".join(f"{name} = {value}" for name, value in about["settings"].items())
        + f"; Python {about['python']}, "
        + ", ".join(f"{name} {version}" for name, version in about["packages"].items())
        + ". Writers are processes.",
    ]
    return "\n".join(lines) + "\n"


def summary(results: dict[str, Any]) -> str:
    """Return the table of docs/performance.md: the kit's number, and its ratio to the limit and to the best peers."""
    stores = {store: facts for store, facts in results["about"]["stores"].items() if not facts["left_out"]}
    on_postgresql = [store for store in stores if stores[store]["on_postgresql"]]
    lines = [
        _line(["", "the kit, a second", "of the limit", "of the best peer on PostgreSQL", "of the best peer"]),
        _line(["---", "---:", "---:", "---:", "---:"]),
    ]
    for row in results["rows"]:
        number = f"{_short(row['cells']['kit']['median'])} {row['unit']}"
        ratios = [
            _percent(ratio(row, "kit", "limit")),
            *(_best(row, each, stores) for each in (on_postgresql, [*stores])),
        ]
        lines.append(_line([row["title"], number, *ratios]))
    return "\n".join(lines) + "\n"


def _rounds(rows: list[dict]) -> str:
    return " or ".join(map(str, sorted({row["rounds"] for row in rows})))


def _ratios(rows: list[dict], stores: dict[str, dict]) -> list[str]:
    others = [store for store, facts in stores.items() if facts["role"] != "limit"]
    head = [f"{stores[store]['name']} / limit" for store in others]
    lines = [
        _line(["", *head, "kit / best peer", "kit / best peer on PostgreSQL"]),
        _line(["---", *("---:" for _ in head), "---:", "---:"]),
    ]
    for row in rows:
        cells = [_percent(ratio(row, store, "limit")) for store in others]
        on_postgresql = [store for store in stores if stores[store]["on_postgresql"]]
        lines.append(_line([row["title"], *cells, _best(row, list(stores), stores), _best(row, on_postgresql, stores)]))
    return lines


def best_peer(row: dict, candidates: list[str], stores: dict[str, dict]) -> str | None:
    """Return the peer with the highest median in a row."""
    medians = {
        store: row["cells"][store]["median"]
        for store in candidates
        if stores[store]["role"] == "peer" and "median" in row["cells"].get(store, {})
    }
    return max(medians, key=medians.__getitem__) if medians else None


def ratio(row: dict, store: str, other: str) -> float | None:
    """Return the median of the rounds' ratios of a store to another one."""
    rounds = [row["cells"].get(each, {}).get("rounds") for each in (store, other)]
    if None in rounds:
        return None
    return statistics.median(a / b for a, b in zip(*rounds, strict=True))


def _best(row: dict, candidates: list[str], stores: dict[str, dict]) -> str:
    peer = best_peer(row, candidates, stores)
    return f"{_percent(ratio(row, 'kit', peer))} ({stores[peer]['name']})" if peer else "–"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %"


def _number(cell: dict) -> str:
    if "failed" in cell:
        return "failed"
    return f"{_short(cell['median'])} ({_short(cell['low'])}–{_short(cell['high'])})"


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
