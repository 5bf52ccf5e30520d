"""How a fitted network is written out as code, for places where there is no library to load it."""

from .code import to_code

__all__ = ["to_code"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
