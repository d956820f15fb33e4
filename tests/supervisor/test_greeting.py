"""What is printed when the service is up."""

from pathlib import Path

from config import Settings
from supervisor import greeting


def settings(tmp_path: Path, **names: str) -> Settings:
    """Return settings as an installation with these variables has them."""
    return Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": "s" * 64, **names})


def test_public_url_wins(tmp_path: Path) -> None:
    """Behind a proxy the proxy's address is the one to hand out, and this PC still asks its own port."""
    found = settings(tmp_path, TROPA_PUBLIC_URL="https://tropa.example/", TROPA_PORT="8181")
    assert greeting.base_url(found) == "https://tropa.example"
    assert greeting.addresses(found) == ["https://tropa.example"]
    assert greeting.local_url(found) == "http://127.0.0.1:8181"


def test_public_ip_and_tls(tmp_path: Path) -> None:
    """A public address is written as a URL, in brackets when it is IPv6, with https when TLS is on."""
    names = {"TROPA_PUBLIC_IP": "2001:db8::1", "TROPA_TLS_CERT": "/c", "TROPA_TLS_KEY": "/k"}
    assert greeting.base_url(settings(tmp_path, **names)) == "https://[2001:db8::1]:8080"


def test_greeting_on_loopback_has_no_camera_warning(tmp_path: Path) -> None:
    """On this PC alone the camera works without HTTPS, so nothing is said of it."""
    lines = greeting.greet(settings(tmp_path, TROPA_HOST="127.0.0.1"), "")
    assert lines[0] == "Tropa is ready: http://127.0.0.1:8080"
    assert not any("HTTPS" in line for line in lines)


def test_greeting_for_the_network_warns_of_the_camera(tmp_path: Path) -> None:
    """Other PCs cannot open a camera over plain HTTP; the greeting says so before a lesson fails."""
    lines = greeting.greet(settings(tmp_path, TROPA_PUBLIC_IP="192.0.2.7"), "http://192.0.2.7:8080/first/abc")
    assert any("TROPA_TLS_CERT" in line for line in lines)
    assert any("http://192.0.2.7:8080/first/abc" in line for line in lines)
