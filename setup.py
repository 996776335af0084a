"Metadata comes from settings.ini, so that it stands in one place."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

cfg = ConfigParser(delimiters=["="])
cfg.read(Path(__file__).parent / "settings.ini", encoding="utf-8")
c = cfg["DEFAULT"]
readme = Path(__file__).parent / "README.md"

setup(
    name=c["lib_name"], version=c["version"], description=c["description"], keywords=c["keywords"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else c["description"],
    long_description_content_type="text/markdown",
    author=c["author"], author_email=c["author_email"], url=c["git_url"], license="Apache-2.0",
    packages=find_packages(include=["crma", "crma.*"]), include_package_data=True,
    python_requires=f">={c['min_python']}",
    install_requires=c["requirements"].split(),
    extras_require={"dev": c["dev_requirements"].split(), "cluster": c["cluster_requirements"].split(), "eval": c["eval_requirements"].split()},
    entry_points={"console_scripts": c["console_scripts"].split("\n"), "nbdev": [f"{c['lib_name']}={c['lib_name']}._modidx:d"]},
    classifiers=["Development Status :: 3 - Alpha", "Intended Audience :: Science/Research", "Programming Language :: Python :: 3",
                 "Topic :: Scientific/Engineering :: Artificial Intelligence"],
    zip_safe=False,
)
