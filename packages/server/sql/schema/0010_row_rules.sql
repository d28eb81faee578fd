-- Each COPY of the writer read these rules anew from their text, a tenth of a small transaction, for rows that it had
-- checked already. Whoever else writes meets them in the statement triggers (internal/15_row_rules.sql).
alter table public.inference_logs
  drop constraint inference_time_ms_range,
  drop constraint confidence_score_range,
  drop constraint quality_score_range,
  drop constraint summary_key_length;
