"""The tables of bin/bench peers, with ratios and targets."""

from collections.abc import Callable

from bench.peers.measurement import Figures, Row

Rows = dict[tuple[str, int, str], Row]  # by case, number of clients and system
PEER_NAMES = ("ejabberd", "prosody")
MIN_SEND_RATIO, MIN_READ_RATIO = 1.25, 6.0


def format_tables(rows: Rows, names: list[str]) -> str:
    """Return a table for each case, and the ratios with their targets."""
    lines = []
    for case in dict.fromkeys(case for case, _, _ in rows):
        lines += ["", *_format_header(case)]
        for clients in dict.fromkeys(number for one, number, _ in rows if one == case):
            lines += [_format_row(clients, name, case, rows[case, clients, name]) for name in names]
    return "\n".join([*lines, "", *_format_ratios(rows, names), ""])


def _format_header(case: str) -> list[str]:
    times = "arrival" if case == "deliver" else "ms"
    response = f"{'response':>10}" if case == "deliver" else ""
    return [
        f"{case:21}|{'':7}|{times:^16}{'':{len(response)}}|{'CPU µs per request':^45}|{'others':>7}",
        f"{'clients':>8}{'':13}|{'req/s':>7}|{'p50':>8}{'p99':>8}{response}|"
        f"{'app, peer':>10}{'MariaDB':>9}{'Valkey':>8}{'sum':>7}{'load':>7}    |",
    ]


def _format_row(clients: int, name: str, case: str, row: Row) -> str:
    def get(figure: Callable[[Figures], float]) -> float:
        return row.get_median(figure)

    response = f"{get(lambda one: one.response_p50):>10.2f}" if case == "deliver" else ""
    return (
        f"{clients:>8} {name:12}|{get(lambda one: one.rate):>7.0f}|{get(lambda one: one.p50):>8.2f}"
        f"{get(lambda one: one.p99):>8.2f}{response}|{get(lambda one: one.app_cpu):>10.0f}"
        f"{get(lambda one: one.mysql_cpu):>9.0f}{get(lambda one: one.redis_cpu):>8.0f}"
        f"{get(lambda one: one.server_cpu):>7.0f}{get(lambda one: one.load_cpu):>7.0f}    |"
        f"{get(lambda one: one.others):>7.0%}"
    )


def _format_ratios(rows: Rows, names: list[str]) -> list[str]:
    """Return a line for each case and number of clients: ours divided by each peer."""
    peers = [name for name in names if name in PEER_NAMES]
    if not peers or "ours" not in names:
        return []
    columns = f"{'req/s':>7}{'p50':>7}{'p99':>7}{'CPU':>7} |"
    lines = [
        f"{'ours divided by':21}|{''.join(f'{peer:^29}|' for peer in peers)}",
        f"{'case':13}{'clients':>8}|{columns * len(peers)} target",
    ]
    for case, clients in dict.fromkeys((case, clients) for case, clients, _ in rows):
        ours = rows[case, clients, "ours"]
        theirs = {peer: rows[case, clients, peer] for peer in peers}
        ratios = "".join(f"{_format_ratio(ours, one)} |" for one in theirs.values())
        lines.append(f"{case:13}{clients:>8}|{ratios}{_format_target(case, clients, ours, theirs)}")
    return lines


def _format_ratio(ours: Row, peer: Row) -> str:
    def divide(get: Callable[[Figures], float]) -> str:
        divisor = peer.get_median(get)
        return f"{ours.get_median(get) / divisor:>7.2f}" if divisor else f"{'–':>7}"

    return "".join(
        (
            divide(lambda one: one.rate),
            divide(lambda one: one.p50),
            divide(lambda one: one.p99),
            divide(lambda one: one.server_cpu),
        )
    )


def _format_target(case: str, clients: int, ours: Row, peers: dict[str, Row]) -> str:
    """Return the target of a line, and whether it is missed."""

    def get_rate_ratio(peer: Row) -> float:
        return ours.get_median(lambda one: one.rate) / peer.get_median(lambda one: one.rate)

    def is_slower(get: Callable[[Figures], float]) -> bool:
        return ours.get_median(get) > min(one.get_median(get) for one in peers.values())

    if case == "deliver":
        missed = is_slower(lambda one: one.p50) or is_slower(lambda one: one.p99)
        target = "p50 and p99 ≤ the better peer's"
    elif case == "newest 20":
        missed = any(get_rate_ratio(one) < MIN_READ_RATIO for one in peers.values())
        target = f"≥ {MIN_READ_RATIO:.0f} × each peer's rate"
    elif "ejabberd" not in peers:
        return ""
    elif clients == 1:
        missed = is_slower(lambda one: one.p50)
        target = "p50 ≤ ejabberd's"
    else:
        missed = get_rate_ratio(peers["ejabberd"]) < MIN_SEND_RATIO
        target = f"≥ {MIN_SEND_RATIO} × ejabberd's rate"
    return f" {target}{', MISSED' if missed else ''}"
