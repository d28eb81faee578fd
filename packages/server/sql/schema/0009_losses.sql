-- What became of events, by sender: sent = stored + sampled out + duplicate + rejected + dropped, for ever exactly.
-- Appended in the transaction that stores the events, and folded by the compactor.
create table nowcast.loss_partials (
  minute timestamptz not null default date_bin('1 minute', now(), timestamptz '2000-01-01 00:00:00+00'),
  sender text not null,
  -- refused: answered 429 or 503; the sender still has it and may send it again, so it is not part of the sum.
  fate text not null check (fate in ('stored', 'sampled_out', 'duplicate', 'rejected', 'dropped', 'refused')),
  reason text not null, -- '' for what needs none
  events bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table nowcast.loss_minutes (
  like nowcast.loss_partials,
  primary key (minute, sender, fate, reason)
);
