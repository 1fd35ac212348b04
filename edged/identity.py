"""Types that hold raw identity and refuse every way out but one.

Raw identity (MRZ text, names, numbers, page images) lives in memory for one inspection. These types are
the fence: `reveal()` is the only way to the value, so a search for that word finds every place where raw
identity is touched. It sits below `core` and `privacy` because both handle such values.

`Identity` is the base of whatever holds raw identity: it can't be printed, pickled, copied or serialised, and
`repr` gives the type's name alone. `Sensitive` is one raw value. Both are compiled (`edged/_identity.pyx`).
"""

from edged._identity import Identity, Sensitive

__all__ = ["Identity", "Sensitive"]
