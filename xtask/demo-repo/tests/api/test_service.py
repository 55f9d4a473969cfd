"""Asks the built image itself, which the step has started beside this probe."""

import json
import urllib.error
import urllib.request

SERVICE = "http://web:8080"


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SERVICE + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_it_is_alive():
    assert ask("/healthz") == {"alive": True}


def test_articles_have_a_price():
    assert ask("/articles")["articles"]["chair"]["cents"] == 8_900


def test_an_order_has_its_price():
    assert ask("/orders", {"article": "lamp", "pieces": 10}) == {"cents": 22_410}


def test_a_refused_order_says_why():
    try:
        ask("/orders", {"article": "table", "pieces": 2})
        raise AssertionError("the order was taken")
    except urllib.error.HTTPError as refused:
        assert refused.code == 422
        assert "only 1" in json.load(refused)["refused"]
