-- Partials that the compactor has added up once, by key: models' minutes hold them already, the rest does not yet. Adding
-- them to everything else costs as much for few as for many, so it waits for a few seconds.
create table nowcast.summary_merges (like nowcast.summary_partials) with (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);
