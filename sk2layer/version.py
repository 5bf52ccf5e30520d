"""The version, which is also written into stored files; between releases, the next one with .dev0."""

VERSION = "0.1.0.dev0"
