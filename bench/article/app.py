"""The article's ingestion endpoint, as a benchmark opponent.

Same stack and same path as the article: one FastAPI route, a pydantic model, an
asyncpg pool of 5 to 20 connections, one INSERT per request in its own
transaction. Two things differ, both of which it needs to run at all: the
database comes from the environment, and metadata is handed over as JSON text,
because asyncpg takes a str for jsonb and answers a dict with an error.
"""

import json
import os
from typing import Optional

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

INSERT = """
    INSERT INTO inference_logs (
        model_version, inference_time_ms, confidence_score,
        input_size_bytes, prediction_class, is_error,
        error_message, metadata
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

app = FastAPI()
db_pool = None


class InferenceTelemetry(BaseModel):
    model_version: str
    inference_time_ms: float
    confidence_score: Optional[float] = None
    input_size_bytes: int
    prediction_class: Optional[str] = None
    is_error: bool = False
    error_message: Optional[str] = None
    metadata: Optional[dict] = None


@app.on_event("startup")
async def open_pool():
    global db_pool
    db_pool = await asyncpg.create_pool(
        dsn=os.environ["BENCH_ARTICLE_DATABASE_URL"], min_size=5, max_size=20
    )


@app.post("/telemetry/inference")
async def log_inference(telemetry: InferenceTelemetry):
    try:
        async with db_pool.acquire() as conn:
            await conn.execute(
                INSERT,
                telemetry.model_version,
                telemetry.inference_time_ms,
                telemetry.confidence_score,
                telemetry.input_size_bytes,
                telemetry.prediction_class,
                telemetry.is_error,
                telemetry.error_message,
                None if telemetry.metadata is None else json.dumps(telemetry.metadata),
            )
        return {"status": "logged"}
    except Exception as e:
        print(f"Telemetry error: {e}")
        raise HTTPException(status_code=500, detail="Logging failed")
