"""How the documentation is built: python -m sphinx -W --keep-going -b html docs docs/_build/html."""

import doctest

from sk2layer import __version__

project = "sk2layer"
author = "the sk2layer developers"
copyright = "2026, the sk2layer developers"
release = version = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "benchmarks"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

doctest_default_flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"sklearn\..*"),  # they are written in full, and resolve on its site only
    (r"py:obj", r"(classes|n_features_in)_"),  # properties, which have no page of their own
]

default_role = "literal"
smartquotes = False  # the links of notebooks look for parameters and their types as they are in docstrings
autodoc_typehints = "none"
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "sk2layer"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_sidebars = {
    "index": [],
    "api": [],
    "benchmarks": [],
    "mathematics": [],
    "speed": [],
    "changelog": [],
    "contributing": [],
}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
