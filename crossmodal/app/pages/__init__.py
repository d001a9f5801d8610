"""One script a page; Streamlit runs it as __main__."""
