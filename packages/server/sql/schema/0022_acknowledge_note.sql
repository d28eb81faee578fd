-- What somebody said when acknowledging. It stood in `metadata`, which every key may read.
alter table public.system_alerts add column acknowledge_note text;
update public.system_alerts
set acknowledge_note = metadata ->> 'acknowledge_note', metadata = nullif(metadata - 'acknowledge_note', '{}')
where metadata ? 'acknowledge_note';
