-- Serves POST /telemetry/feedback, which finds the events of a trace, and whoever looks for a trace. Partial: events
-- without a trace pay nothing for it. By hash: half the bytes of a B-tree over 32 hexadecimal digits.
create index inference_logs_trace on public.inference_logs using hash (trace_id) where trace_id is not null;

-- Feedback that came before its event: exporters hold spans back for some seconds. Tried again for ten minutes.
create table nowcast.pending_feedback (
  trace_id text not null,
  quality_score double precision,
  feedback smallint,
  received_at timestamptz not null default now()
);
