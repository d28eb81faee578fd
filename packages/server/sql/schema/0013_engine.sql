-- Which server judges the rules. One at a time; another takes over once the lease has run out.
create table nowcast.engine_lease (
  one boolean primary key default true check (one),
  holder uuid not null,
  held_until timestamptz not null,
  -- Since when somebody has watched without a break, and when they last looked: silence before is nobody's silence.
  watched_since timestamptz not null,
  looked_at timestamptz not null
) with (fillfactor = 10);
