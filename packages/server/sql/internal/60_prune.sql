-- Forgets what nobody can ask for any more: feed rows after an hour (of the pulse after a minute), batch ids after
-- a day, minutes of the pulse and marks of corrected minutes after an hour, news of
-- alerts after a week or a hundred thousand more, the accounting of losses after 35 days, what detectors learnt of models that are gone after 30.
create or replace function nowcast.prune() returns void
  language sql as $$
  delete from nowcast.feed where created_at < now() - interval '1 hour'
    or relation = 'metrics_pulse' and created_at < now() - interval '1 minute';
  delete from nowcast.batches where received_at < now() - interval '24 hours';
  delete from nowcast.key_overflows where minute < now() - interval '90 days';
  delete from nowcast.loss_minutes where minute < now() - interval '35 days';
  delete from nowcast.detector_states where updated_at < now() - interval '30 days';
  delete from nowcast.alert_outbox where created_at < now() - interval '7 days'
    or id < (select max(id) - 100000 from nowcast.alert_outbox);
  delete from nowcast.alert_messages where incident_id is null and sent_at < now() - interval '35 days';
  delete from nowcast.corrected_minutes where corrected_at < now() - interval '1 hour';
  delete from public.metrics_pulse where minute < now() - interval '1 hour';
$$;
