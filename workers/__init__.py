"""Celery workers: recording pipeline, mail, clean-up."""
