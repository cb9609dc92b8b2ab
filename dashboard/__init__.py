"""The Streamlit app. Knows `segmodels`, never `train`."""

import segmodels  # noqa: F401  # sets how threads wait, before PyTorch is loaded
