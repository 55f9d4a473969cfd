import prices
import pytest


def test_pieces_are_multiplied():
    assert prices.order_cents("lamp", 2) == 4_980


def test_ten_pieces_have_a_rebate():
    assert prices.order_cents("lamp", 10) == 22_410


@pytest.mark.parametrize("article, pieces", [("boat", 1), ("lamp", 0), ("table", 2)])
def test_what_cannot_be_had_is_refused(article, pieces):
    with pytest.raises(prices.Refused):
        prices.order_cents(article, pieces)
