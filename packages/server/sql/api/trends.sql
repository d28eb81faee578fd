-- Days, weeks (from Monday) and months by model beside the period before and, for days and weeks, four weeks before. The
-- running period is shown with the days it has so far, so requests are compared by the day. `..._margin_...` is half
-- the width of the 95 % interval of a change; it comes from how the days inside the periods differ, since requests of
-- one day are not independent of each other, and is null below two days in either period. A change whose margin is
-- larger than itself may be nothing but noise.
do $build$
declare
  made record;
begin
  for made in values
    ('daily_metrics_trend', 'day', '1 day', true),
    ('weekly_metrics_trend', 'week', '7 days', true),
    ('monthly_metrics_trend', 'month', '1 month', false)
  loop
    execute format($view$
      create or replace view public.%1$I as
      with periods as not materialized (
        select s.starts, s.model_version, s.days, s.request_count, s.error_count,
          s.request_count::double precision / s.days as requests_per_day,
          s.latency_sum_ms / s.request_count as avg_latency_ms,
          s.error_count::double precision / s.request_count as error_rate,
          s.p50_latency_ms, s.p95_latency_ms, s.p99_latency_ms,
          s.confidence_sum / nullif(s.confidence_count, 0) as avg_confidence,
          s.quality_sum / nullif(s.quality_count, 0) as avg_quality,
          s.input_tokens_sum, s.output_tokens_sum, s.cost_usd_sum, s.value_usd_sum,
          s.daily_requests_variance, s.avg_latency_variance, s.error_rate_variance
        from nowcast.period_summaries s where s.kind = %2$L
      )
      select
        n.starts as period_start, n.model_version, n.days, n.request_count as total_requests, n.requests_per_day,
        n.avg_latency_ms, n.p50_latency_ms, n.p95_latency_ms, n.p99_latency_ms, n.avg_confidence, n.avg_quality,
        n.error_count as total_errors, round((100 * n.error_rate)::numeric, 2)::double precision as error_rate_pct,
        n.input_tokens_sum as input_tokens, n.output_tokens_sum as output_tokens,
        n.cost_usd_sum as cost_usd, n.value_usd_sum as value_usd
        %3$s %4$s
      from periods n
      left join periods prev on prev.model_version = n.model_version and prev.starts = (n.starts - interval %5$L)::date
      left join periods four on %6$L and four.model_version = n.model_version
        and four.starts = (n.starts - interval '28 days')::date
      order by n.starts desc, n.request_count desc
    $view$, made.column1, made.column2, nowcast.trend_columns('prev', ''),
      case when made.column4 then nowcast.trend_columns('four', '_4w') else '' end, made.column3, made.column4);
  end loop;
end
$build$;

-- Models of a range of closed days beside each other, the busiest first. The range's percentiles come from the sum of
-- its histograms.
create or replace function public.model_leaderboard(
  since date default current_date - 30, until date default current_date
) returns table (
  rank bigint, model_version text, total_requests bigint, share_pct double precision, avg_latency_ms double precision,
  p50_latency_ms double precision, p95_latency_ms double precision, p99_latency_ms double precision,
  avg_confidence double precision, avg_quality double precision, total_errors bigint, error_rate_pct double precision,
  cost_usd double precision, cost_usd_per_1000_requests double precision, value_usd double precision
)
  language sql stable as $$
  select row_number() over (order by m.request_count desc, m.model_version), m.model_version, m.request_count,
    round(100.0 * m.request_count / sum(m.request_count) over (), 2)::double precision,
    m.latency_sum_ms / m.request_count, q.quantiles[1], q.quantiles[2], q.quantiles[3],
    m.confidence_sum / nullif(m.confidence_count, 0), m.quality_sum / nullif(m.quality_count, 0),
    m.error_count, round(100.0 * m.error_count / m.request_count, 2)::double precision,
    m.cost_usd_sum, 1000 * m.cost_usd_sum / nullif(m.cost_count, 0), m.value_usd_sum
  from nowcast.merged_days(since, until) m,
    nowcast.latency_quantiles(m.latency_bins, m.latency_bin_counts, array[0.5, 0.95, 0.99],
      m.latency_min_ms, m.latency_max_ms) q (quantiles)
  order by 1
$$;
