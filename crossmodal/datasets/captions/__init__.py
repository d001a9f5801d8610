"""Captions files, told apart by what they hold."""
