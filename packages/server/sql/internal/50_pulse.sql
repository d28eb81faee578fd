-- Writes the named minutes of the last hour into metrics_pulse where they changed; the table's own feed triggers
-- tell every server. Minutes older than an hour leave. Returns the number of rows written.
create or replace function nowcast.refresh_pulse(since timestamptz, until timestamptz) returns integer
  language plpgsql as $$
declare
  written integer;
begin
  insert into public.metrics_pulse as p (
    minute, model_version, request_count, error_count, error_rate_pct, avg_latency_ms, p50_latency_ms,
    p95_latency_ms, p99_latency_ms, avg_confidence, avg_quality, input_tokens, output_tokens, cost_usd
  )
  select b.minute, b.model_version, b.request_count, b.error_count,
    round(100.0 * b.error_count / b.request_count, 2)::double precision, b.latency_sum_ms / b.request_count,
    b.p50_latency_ms, b.p95_latency_ms, b.p99_latency_ms,
    b.confidence_sum / nullif(b.confidence_count, 0), b.quality_sum / nullif(b.quality_count, 0),
    b.input_tokens_sum, b.output_tokens_sum, b.cost_usd_sum
  from nowcast.model_figures(60, greatest(since, now() - interval '1 hour'), until) b
  -- Servers that refresh the same rows at once take them in the same order.
  order by b.minute, b.model_version
  on conflict (minute, model_version) do update set
    request_count = excluded.request_count, error_count = excluded.error_count,
    error_rate_pct = excluded.error_rate_pct, avg_latency_ms = excluded.avg_latency_ms,
    p50_latency_ms = excluded.p50_latency_ms, p95_latency_ms = excluded.p95_latency_ms,
    p99_latency_ms = excluded.p99_latency_ms, avg_confidence = excluded.avg_confidence,
    avg_quality = excluded.avg_quality, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cost_usd = excluded.cost_usd, updated_at = now()
  where (p.request_count, p.error_count, p.avg_latency_ms, p.avg_confidence, p.avg_quality, p.cost_usd)
    is distinct from (excluded.request_count, excluded.error_count, excluded.avg_latency_ms,
      excluded.avg_confidence, excluded.avg_quality, excluded.cost_usd);
  get diagnostics written = row_count;
  return written;
end
$$;
