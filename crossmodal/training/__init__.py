"""A recipe → a checkpoint: its data and model put together, losses, objectives, one loop, a run that resumes.

Takes a recipe with overrides; gives a run's folder with its best and last checkpoint, history and curves.
Knows every room that a run reads from or reports with, so it stands after gallery and plots.
"""
