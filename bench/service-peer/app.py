"""The peer of `bench service`: the same statement and the same answer by FastAPI and asyncpg, as Debian packages them."""
import json
import os
from typing import List, Optional

import asyncpg
import ujson
from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel

with open(os.environ["PEER_FILE"], encoding="utf-8") as file:
    SETTINGS = json.load(file)

app = FastAPI()


async def plain_values(connection):
    """Prices and times as JSON wants them: the driver's own objects would be turned into these one by one."""
    for name, decoder in (("numeric", float), ("timestamptz", iso)):
        await connection.set_type_codec(name, encoder=str, decoder=decoder, schema="pg_catalog", format="text")


def iso(text):
    return text[:10] + "T" + text[11:-3] + "Z"


@app.on_event("startup")
async def open_pool():
    app.state.pool = await asyncpg.create_pool(SETTINGS["dsn"], min_size=16, max_size=16, init=plain_values)


@app.on_event("shutdown")
async def close_pool():
    await app.state.pool.close()


class Item(BaseModel):
    """An offer, as a response model describes one."""

    id: int
    sku: str
    source: str
    title: str
    brand: Optional[str]
    category: str
    category_path: List[str]
    price: float
    list_price: Optional[float]
    currency: str
    price_sgd: float
    discount_percent: int
    merchant: str
    merchant_name: str
    country_code: str
    region: str
    availability: str
    url: str
    image_url: Optional[str]
    gtin: Optional[str]
    mpn: Optional[str]
    condition: str
    rating: Optional[float]
    review_count: Optional[int]
    updated_at: str
    seen_at: str
    freshness: str


class Page(BaseModel):
    """A page of offers."""

    total: Optional[int]
    total_is_exact: bool
    limit: int
    has_more: bool
    next_cursor: Optional[str]
    items: List[Item]
    facets: Optional[dict]


async def page_of(category, price, limit):
    statement = SETTINGS["statements"][str(limit)]
    rows = await app.state.pool.fetch(statement, category, price, 0)
    page = [dict(row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return {
        "total": None,
        "total_is_exact": True,
        "limit": limit,
        "has_more": has_more,
        "next_cursor": str(page[-1]["id"]) if has_more else None,
        "items": page,
        "facets": None,
    }


@app.get("/search")
async def search(category: str, price: float, limit: int):
    """As quick as it goes: around FastAPI's own making of answers, with the quickest writer of JSON that Debian has."""
    answer = await page_of(category, price, limit)
    return Response(ujson.dumps(answer, ensure_ascii=False, escape_forward_slashes=False), media_type="application/json")


@app.get("/plain")
async def plain(category: str, price: float, limit: int):
    """As FastAPI's users write it: the rows are returned, and FastAPI makes JSON of them."""
    return await page_of(category, price, limit)


@app.get("/modelled", response_model=Page)
async def modelled(category: str, price: float, limit: int):
    """As the documentation of FastAPI has it: with a model of the answer."""
    return await page_of(category, price, limit)
