"""What a slow test needs of the machine is there, or the test fails and says so: none is skipped in silence."""

from __future__ import annotations

import pytest

from tests.slow import ownnet


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that makes networks where this user may not make any."""
    if item.get_closest_marker("networks") and not ownnet.allowed():
        pytest.fail(
            "Emulated links need root and /dev/net/tun. Run the tests as root, or leave these out by name: "
            "make test ARGS=\"-m 'not networks'\"",
            pytrace=False,
        )
