"""What things cost. Amounts are whole cents, so that nothing is lost in rounding."""

ARTICLES = {
    "lamp": {"cents": 2_490, "stock": 12},
    "chair": {"cents": 8_900, "stock": 4},
    "table": {"cents": 24_900, "stock": 1},
}

# From this many pieces on, a tenth is off.
PIECES_FOR_REBATE = 10


class Refused(Exception):
    """An order that cannot be taken; its text is for the buyer."""


def order_cents(article: str, pieces: int) -> int:
    """The price of an order in cents."""
    if article not in ARTICLES:
        raise Refused(f"there is no {article} here")
    if pieces < 1:
        raise Refused("an order is for one piece or more")
    if pieces > ARTICLES[article]["stock"]:
        raise Refused(f"only {ARTICLES[article]['stock']} of {article} are left")
    whole = ARTICLES[article]["cents"] * pieces
    return whole - whole // 10 if pieces >= PIECES_FOR_REBATE else whole
