"""What a person reads about a run. Knows the journal's schema and nothing else of this project."""
