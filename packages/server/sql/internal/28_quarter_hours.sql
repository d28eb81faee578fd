-- Databases that were filled before models had quarters of an hour get them from their five minutes, once.
do $fill$
begin
  if exists (select from nowcast.model_summaries s where s.tier_seconds = 900)
    or not exists (select from nowcast.model_summaries s where s.tier_seconds = 300) then
    return;
  end if;
  execute format($statement$
    with stepped as materialized (
      select 900 as tier_seconds, date_bin('15 minutes', s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
        s.model_version, %2$s
      from nowcast.model_summaries s where s.tier_seconds = 300
    ),
    merged as (%3$s)
    insert into nowcast.model_summaries (
      tier_seconds, minute, model_version, %1$s, p50_latency_ms, p95_latency_ms, p99_latency_ms
    )
    select m.tier_seconds, m.minute, m.model_version, %1$s, q.quantiles[1], q.quantiles[2], q.quantiles[3]
    from merged m,
      nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
        latency_min_ms, latency_max_ms) q (quantiles)
  $statement$, nowcast.summary_columns(), nowcast.summary_columns('s.'),
    nowcast.merge_query('stepped', 'tier_seconds', 'minute', 'model_version'));
end
$fill$;
