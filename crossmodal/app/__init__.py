"""The pages of the Streamlit app: pages draw widgets, widgets read state, state asks the package.

Takes a person's clicks and words; gives answers on a page.
Knows every room but cli.
"""
