"""The app: `streamlit run app.py [-- --index DIR]`."""

from crossmodal.app.frame import draw

draw()
