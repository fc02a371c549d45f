"""Alembic migrations of the catalogue; they travel in the wheel and run when a node starts."""
