-- Keys as `nowcast keys` makes them. Of the key itself there is only its hash: whoever reads this table, or a backup
-- of it, opens nothing. Revoked ones stay, so that revoking the last one does not look as if there never was one.
create table nowcast.keys (
  hash bytea primary key check (octet_length(hash) = 32), -- SHA-256
  prefix text not null unique, -- how the key begins, for people
  scope text not null check (scope in ('ingest', 'anon', 'service')),
  name text not null default '',
  created_at timestamptz not null default now(),
  last_used_at timestamptz, -- within a minute
  revoked_at timestamptz
);
