-- What servers push to open pages and store nowhere: a subscription to these names brings it, a query finds nothing. They
-- stand here so that keys and columns are checked as for everything else.

-- The server's own health, whenever it changed; losses_changed_at tells that loss_accounting() may answer anew.
create or replace view public.pipeline_status as
  select null::jsonb as health, null::timestamptz as losses_changed_at where false;

-- metrics_total() of the last hour, at most every few seconds while events come.
create or replace view public.metrics_hour_totals as
  select null::jsonb as totals where false;
