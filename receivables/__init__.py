"""What customers owe: the canonical model, its store, the tie-out and the publish gate.

Knows no HTTP and no Airflow, and imports no other part of Encours.
"""
