"""The app: `streamlit run app.py [-- --index DIR]`."""

from crossmodal.app.widgets.frame import draw

draw()
