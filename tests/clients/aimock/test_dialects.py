"""Providers that speak other dialects, as others wrote them: aimock as each, the openai package as the client.

    make setup && .venv/bin/pytest tests/clients/aimock

Also part of `make test-clients`. Needs Node 20, and npm to fetch what `package-lock.json` names, once; without them the
tests are skipped. The answers are in `dialects.json`. What aimock made of a request stands in its journal; the
credentials, which the journal hides, are read on the way there.

Not all that aimock says is what a provider says: see `TELLS_REASONING`, `TELLS_LENGTH` and `HAS_EMBEDDINGS`.
"""

import os
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import openai
import orjson
import pytest

from tests.clients.aimock_tap import Sent, Tap, tapped
from tests.clients.upstreams import aimock
from tests.support.asking import bodies_of, sandbox_model
from tests.support.gateway import RunningGateway, running
