-- Serves single news (tests, digests), which belong to no incident.
create index alert_outbox_single on nowcast.alert_outbox (created_at) where incident_id is null;
