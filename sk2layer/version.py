"""Which version this is; between releases, the next one's with .dev0, which files it writes are told by."""

VERSION = "0.1.0.dev0"
