-- Why people are to look at a held run before it is published, whatever else it is held for: a waiver is about a
-- difference, and publishes nothing that somebody is to see first.
alter table receivables.run add column look_first text check (look_first in ('asked', 'settings'));
