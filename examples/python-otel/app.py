"""Calls a model and traces each call by OpenTelemetry; Nowcast needs nothing but the spans.

Where the spans go is said by OpenTelemetry's own variables. Without any they go to http://localhost:4318,
OpenTelemetry's default port, where Nowcast listens.
"""

import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")


def answer(question: str, user: str) -> str:
    with tracer.start_as_current_span("chat gpt-4o") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-4o")
        span.set_attribute("user.id", user)
        span.set_attribute("nowcast.feature", "search")
        if question == "":
            span.set_status(Status(StatusCode.ERROR, "the question is empty"))
            return ""
        time.sleep(0.02)  # the model
        span.set_attribute("gen_ai.response.model", "gpt-4o-2024-08-06")
        span.set_attribute("gen_ai.usage.input_tokens", 20)
        span.set_attribute("gen_ai.usage.output_tokens", 5)
        return "an answer"


if __name__ == "__main__":
    with tracer.start_as_current_span("POST /search"):
        for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
            answer("" if number % 10 == 9 else "where is my order?", f"user-{number % 3}")
    provider.shutdown()  # sends what waits
