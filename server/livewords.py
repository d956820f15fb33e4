"""What the scripts of the live pages say, in the reader's language; %(name)s is filled in by the script."""

from __future__ import annotations

from flask_babel import gettext as _


def watch_words() -> dict[str, str]:
    """Return the words of static/live/watch.js by key."""
    return {
        "connecting": _("Connecting…"),
        "live": _("Live"),
        "waiting": _("Waiting for the host. The lesson starts here by itself."),
        "host_lost": _("The host's link is gone. Please stay: the lesson goes on as soon as it is back."),
        "reconnecting": _("The connection broke. Reconnecting…"),
        "rerouting": _("The connection broke. Looking for another way…"),
        "over_tcp": _("The direct way (UDP) is blocked here; the lesson comes over TCP."),
        "now_over_tcp": _("The direct way is blocked; the lesson now comes over TCP."),
        "offline": _("This computer has no network. The lesson comes back by itself as soon as there is one."),
        "ended": _("The lesson has ended."),
        "cancelled": _("The lesson was cancelled."),
        "full": _("All places are taken. Trying again every half minute."),
        "refused": _("The lesson cannot be opened. Reload the page."),
        "viewers": _("Viewers: %(count)s"),
        "sound_on": _("Sound on"),
        "sound_off": _("Sound off"),
        **_quality_words(),
    }


def _quality_words() -> dict[str, str]:
    """Return the words of static/live/meter.js: rungs and reasons by the names of rules/rungs.py."""
    return {
        "meter": _("%(rung)s · %(kbps)s kbit/s · %(mb)s MB so far"),
        "rung_full": _("The host's own picture"),
        "rung_half": _("The host's picture with fewer frames, to fit your link"),
        "rung_base": _("The host's picture, a few frames a second, to fit your link"),
        "rung_middle": _("A smaller picture, to fit your link"),
        "rung_low": _("A small picture, to fit your link"),
        "rung_still": _("A still picture now and then"),
        "rung_voice": _("Voice only"),
        "why_start": _("Your link is being measured."),
        "why_link": _("Your link carries no more. The picture gets better by itself as soon as it does."),
        "why_loss": _("Your link loses packets. The picture gets better by itself as soon as it does not."),
        "why_stalled": _("Your link has stopped for a moment."),
        "why_chosen": _("As you chose."),
        "why_recovered": _("Your link carries more again."),
        "why_fits": "",
    }


def host_words() -> dict[str, str]:
    """Return the words of static/live/host.js and devices.js by key."""
    return {
        "ready": _("Not on air"),
        "connecting": _("Connecting… Nobody sees or hears you yet."),
        "no_media": _("Connected, but nothing arrives at the server yet."),
        "on_air": _("On air"),
        "reconnecting": _("The connection broke. Reconnecting… The camera stays on."),
        "rerouting": _("The connection broke. Looking for another way… The camera stays on."),
        "over_tcp": _("The direct way (UDP) is blocked here; the lesson goes out over TCP."),
        "now_over_tcp": _("The direct way is blocked; the lesson now goes out over TCP."),
        "offline": _("This computer has no network. Going on air again as soon as there is one."),
        "taken": _("This lesson is now on air from another page or computer. This page has stopped sending."),
        "elsewhere": _("This lesson is on air from another page or computer."),
        "ended": _("The lesson has ended."),
        "refused": _("Going live was refused. Reload the page."),
        "go": _("Go live"),
        "go_again": _("Go on air from here"),
        "mute": _("Mute the microphone"),
        "unmute": _("Unmute the microphone"),
        "viewers": _("Viewers: %(count)s"),
        "on_air_for": _("on air for %(time)s"),
        "recorded": _("recorded: %(time)s"),
        **_unrecorded_words(),
        "end_failed": _("The lesson could not be ended: %(reason)s Press the button again in a few seconds."),
        "camera": _("Camera"),
        "microphone": _("Microphone"),
        **_device_words(),
    }


def _unrecorded_words() -> dict[str, str]:
    """Return what the host is told when the recording stops (media.recorder's trouble)."""
    return {
        "unrecorded_disk_full": _(
            "The lesson goes on, but it is not being recorded: the server's disk is full. %(time)s are kept. Ask the "
            "administrator to make room; the recording then goes on by itself within half a minute."
        ),
        "unrecorded_disk": _(
            "The lesson goes on, but it is not being recorded: the server's disk refuses to write. %(time)s are kept. "
            "Tell the administrator; the recording goes on by itself when the disk does."
        ),
        "unrecorded_picture": _(
            "The lesson goes on, but only its sound is being recorded: the picture cannot be written. Stop and go on "
            "air again to try once more."
        ),
    }


def _device_words() -> dict[str, str]:
    return {
        "insecure": _(
            "The browser gives camera and microphone only to pages opened over HTTPS or on the server's own computer. "
            "Ask the administrator for the HTTPS address."
        ),
        "microphone_denied": _(
            "The browser was not allowed to use the microphone. Press the lock or camera sign beside the address, "
            "allow the microphone, and try again."
        ),
        "microphone_missing": _("No microphone was found. Plug one in and try again."),
        "microphone_busy": _("The microphone is in use by another program. Close that program and try again."),
        "microphone_broken": _("The microphone could not be opened: %(reason)s"),
        "microphone_lost": _("The microphone was unplugged. Plug it in and press “Try camera and microphone”."),
        "camera_denied": _(
            "The browser was not allowed to use the camera; you can go live by voice. To show a picture, press the "
            "lock or camera sign beside the address, allow the camera, and try again."
        ),
        "camera_missing": _("No camera was found; you can go live by voice or show the screen."),
        "camera_busy": _("The camera is in use by another program; you can go live by voice. Close it and try again."),
        "camera_broken": _("The camera could not be opened: %(reason)s You can go live by voice."),
        "screen_denied": _("No screen or window was chosen; what was shown before stays."),
        "screen_missing": _("There is no screen that could be shown."),
        "screen_busy": _("The screen could not be shown because the system refused it."),
        "screen_broken": _("The screen could not be shown: %(reason)s"),
    }
