"""Which version of sk2layer is this?"""

VERSION = "0.1.0"
