"JupyterLab settings of `make lab`: a saved notebook is clean, as `make test` wants it."
from nbdev.clean import clean_jupyter

c.ContentsManager.pre_save_hook = clean_jupyter  # noqa: F821 (Jupyter supplies `c`)
c.ServerApp.root_dir = '.'  # noqa: F821
