-- When no scheduled run begins: a cron line in the tenant's zone, each of whose minutes is left out.
alter table encours.connector add column blackout text;
