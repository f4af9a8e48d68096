"""Encours inside Airflow: provider, hook, retry policy, task. Nothing else of encours/ imports airflow."""
