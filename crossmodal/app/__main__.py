"""The script that `python -m crossmodal app` has Streamlit run, where there is no app.py of a clone."""

from crossmodal.app.frame import draw

draw()
