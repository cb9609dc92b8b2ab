# A Hugging Face Space (sdk: docker), or any other place that runs containers: docker build -t garmentscope . &&
# docker run -p 8501:8501 garmentscope. dashboard/README.md says how to publish it.
FROM python:3.12-slim

# Moodboards write names in Chinese, Japanese and Korean with it.
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-noto-cjk && rm -rf /var/lib/apt/lists/*

# Spaces run a container as user 1000, who may write below their home only: the cache of the Hub is there.
RUN useradd --create-home --uid 1000 user
USER user
ENV HOME=/home/user \
    HF_HOME=/home/user/.cache/huggingface \
    PATH=/home/user/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
RUN mkdir /home/user/app && python -m venv /home/user/venv
WORKDIR /home/user/app

# What is installed changes less often than the code. PyTorch for processors comes from its own index and goes before
# PyPI's, which brings 3 GB of CUDA along; compose.yaml names PyPI for a machine with a GPU.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --chown=user pyproject.toml requirements-app.lock README.md LICENSE ./
RUN pip install --no-cache-dir --constraint requirements-app.lock \
    --extra-index-url ${TORCH_INDEX} ".[app]"

COPY --chown=user . .
RUN pip install --no-cache-dir --no-deps --editable .

# A volume that is mounted here begins as this folder, so that the user may write to it.
USER root
RUN install --directory --owner user /data
USER user

EXPOSE 8501
HEALTHCHECK --start-period=60s CMD python -c \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"

# A Space is shown in a frame of another site, where browsers withhold the cookie by which Streamlit tells a visitor's
# own uploads from forged ones: with that protection each upload is answered with 403. A Space has no logins to protect;
# compose.yaml turns the protection on.
ENV STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION=false
CMD ["python", "-m", "dashboard", "--host", "0.0.0.0", "--port", "8501"]
