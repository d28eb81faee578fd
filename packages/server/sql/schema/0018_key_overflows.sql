-- Minutes that had more keys than are kept apart (internal/19_key_cap.sql), and how many events went to __other__.
create table nowcast.key_overflows (
  minute timestamptz primary key,
  events bigint not null
);
