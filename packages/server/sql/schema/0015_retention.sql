-- The hot window that servers apply, in days. A smaller one than before is announced and applied a day later, so that a
-- slip of the pen drops nothing at once.
create table nowcast.retention_window (
  singleton boolean primary key default true check (singleton),
  hot_days integer not null,
  -- While a smaller window is announced: since when, and which one is still applied.
  lowered_at timestamptz,
  hot_days_before integer
);
