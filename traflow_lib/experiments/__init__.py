"""Recipes and what is trained and measured as they say."""
