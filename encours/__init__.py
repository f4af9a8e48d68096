"""The wiring: settings, registry, hub, migrations, embedded PostgreSQL and the command line."""
