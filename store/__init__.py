"""What is kept: models and queries (Flask-SQLAlchemy), migrations, outbox, file storage."""
