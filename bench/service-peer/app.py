"""The peer of `bench service`: the same statement and the same answer by FastAPI and asyncpg, as Debian packages them."""
import json
import os
from decimal import Decimal

import asyncpg
import orjson
from fastapi import FastAPI
from fastapi.responses import Response

with open(os.environ["PEER_FILE"], encoding="utf-8") as file:
    SETTINGS = json.load(file)

app = FastAPI()


@app.on_event("startup")
async def open_pool():
    app.state.pool = await asyncpg.create_pool(SETTINGS["dsn"], min_size=16, max_size=16)


@app.on_event("shutdown")
async def close_pool():
    await app.state.pool.close()


def plain(value):
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError


@app.get("/search")
async def search(category: str, price: float, limit: int):
    statement = SETTINGS["statements"][str(limit)]
    rows = await app.state.pool.fetch(statement, [category], Decimal(str(price)), 0)
    page = [dict(row) for row in rows[:limit]]
    for item in page:
        del item["total"], item["facets"], item["score"]
    answer = {
        "total": None,
        "total_is_exact": True,
        "limit": limit,
        "has_more": len(rows) > limit,
        "next_cursor": str(page[-1]["id"]) if len(rows) > limit else None,
        "items": page,
        "facets": None,
    }
    return Response(orjson.dumps(answer, default=plain), media_type="application/json")
