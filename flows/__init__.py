"""Prefect flows, thin: gather, decide, apply. The only folder that imports Prefect."""
