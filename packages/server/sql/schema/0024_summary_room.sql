-- The open minute's rows are rewritten four times a second, and the room that their pages are given for that stays with
-- them for good. Less of it does: models' summaries take a quarter less. These settings are for pages that are filled from
-- now on; nothing is written anew.
alter table nowcast.model_summaries set (fillfactor = 85);
alter table nowcast.bucket_figures set (fillfactor = 80);

-- A minute by key is rewritten twelve times. Old versions make room for the next minutes' once they are vacuumed, not
-- once they are a fifth of three months.
alter table nowcast.minute_summaries set (autovacuum_vacuum_scale_factor = 0.02);
alter table nowcast.unkept_minutes set (autovacuum_vacuum_scale_factor = 0.02);
