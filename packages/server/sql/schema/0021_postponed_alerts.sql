-- What the latency check had to say while alerts were being grouped: {message, metadata}.
alter table nowcast.latency_violations add column postponed jsonb;
-- Serves nowcast.raise_postponed_alerts(), which looks every few seconds and nearly always finds none.
create index latency_violations_postponed on nowcast.latency_violations (violated_at) where postponed is not null;
