"""HTTP layer: endpoints, field types, request and response bodies, envelopes, WebSocket events.

Pydantic searches the metadata of all installed packages for plugins when it builds the first model. There are none, and
importing importlib.metadata takes 0.01 s of a cold start, so deployed functions get a module that finds none.
"""

import sys
from types import ModuleType

from chalicelib.settings import settings

if settings.stage != "local":
    _loader = ModuleType("pydantic.plugin._loader")
    vars(_loader)["get_plugins"] = tuple
    sys.modules[_loader.__name__] = _loader
