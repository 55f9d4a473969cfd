"""The web service: reads a request, asks `prices`, answers JSON."""

import bottle
import prices
import waitress

app = bottle.Bottle()


@app.get("/healthz")
def healthz():
    return {"alive": True}


@app.get("/articles")
def articles():
    return {"articles": prices.ARTICLES}


@app.post("/orders")
def orders():
    wanted = bottle.request.json or {}
    try:
        cents = prices.order_cents(str(wanted.get("article")), int(wanted.get("pieces", 0)))
    except (prices.Refused, ValueError, TypeError) as refused:
        bottle.response.status = 422
        return {"refused": str(refused)}
    return {"cents": cents}


if __name__ == "__main__":
    waitress.serve(app, host="0.0.0.0", port=8080, threads=4)
