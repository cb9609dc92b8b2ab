"""The Streamlit app. Knows `segmodels`, never `train`."""
