"""Levels of made sounds: loudness, noise, speech and music, and what is planned for them."""

import math

import pytest

from rules.soundplan import (
    AIM_LUFS,
    LIMIT_DBFS,
    MAX_GAIN_DB,
    MUSIC_BPS,
    SPEECH_BPS,
    Heard,
    Level,
    heard,
    integrated,
    plan_voice,
)

SILENCE = Level(-120.0, -math.inf, -math.inf)


def tone(dbfs: float, seconds: float) -> list[Level]:
    """Make a steady sound."""
    return [Level(dbfs, dbfs, dbfs + 3)] * round(seconds * 10)


def talk(dbfs: float, floor_dbfs: float, seconds: float) -> list[Level]:
    """Make somebody who speaks for 0.6 s and breathes for 0.4 s."""
    word, breath = Level(dbfs, dbfs, dbfs + 12), Level(floor_dbfs, floor_dbfs, floor_dbfs + 3)
    return [*[word] * 6, *[breath] * 4] * round(seconds)


def test_loudness_of_a_steady_sound_is_its_level() -> None:
    """A gate changes nothing where everything is equally loud."""
    assert integrated([-23.0] * 100) == -23.0


def test_pauses_do_not_make_a_lesson_quieter() -> None:
    """Blocks far below the rest are gated out (BS.1770-5): half an hour of silence changes nothing."""
    assert integrated([-20.0] * 100 + [-55.0] * 300 + [-90.0] * 300) == -20.0


def test_loudness_averages_power_not_decibels() -> None:
    """-20 and -26 in equal parts are -22.0, not -23."""
    assert integrated([-20.0, -26.0] * 50) == pytest.approx(-22.0, abs=0.05)


def test_silence_has_no_loudness() -> None:
    """Nothing above the absolute gate leaves nothing to measure, and no gain is planned for it."""
    assert integrated([-75.0] * 10) is None
    found = heard([SILENCE] * 50)
    assert found == Heard(None, -80.0, -80.0, 0.0, False)
    voice, _ = plan_voice(found)
    assert (voice.gain_db, voice.denoise_db, voice.rate_bps) == (0.0, 0.0, SPEECH_BPS)


def test_no_sound_at_all_is_heard_as_silence() -> None:
    """A track that ends before its first tenth of a second is no error."""
    assert heard([]).loudness_lufs is None


def test_speech_is_told_from_its_pauses() -> None:
    """The noise floor is the level between the words, and the share of speech that of the words."""
    found = heard(talk(-24.0, -62.0, 60))
    assert found.noise_floor_dbfs == -62.0
    assert found.speech_share == pytest.approx(0.6, abs=0.05)
    assert not found.music


def test_music_is_steadier_than_speech() -> None:
    """A sound without gaps is music; the room's quiet noise around speech is not."""
    assert heard(tone(-20.0, 30)).music
    assert not heard([*talk(-20.0, -60.0, 30), *tone(-58.0, 300)]).music


def test_a_lesson_with_much_music_counts_as_music() -> None:
    """A music lesson keeps its songs, at the price of more bits for the words between them."""
    assert heard([*talk(-20.0, -60.0, 60), *tone(-20.0, 60)]).music


def test_digital_silence_is_not_taken_for_a_quiet_room() -> None:
    """Silence put in for missing packets says nothing about the noise."""
    assert heard([*talk(-20.0, -45.0, 30), *[SILENCE] * 300]).noise_floor_dbfs == -45.0


@pytest.mark.parametrize(("lufs", "gain"), [(-29.0, 12.0), (-10.0, -7.0), (-80.0 + 20, MAX_GAIN_DB)])
def test_every_voice_comes_to_the_same_level(lufs: float, gain: float) -> None:
    """Quiet is raised and loud is lowered to the aim, within what is still a voice; peaks stay below full scale."""
    voice, reasons = plan_voice(Heard(lufs, -6.0, -90.0, 0.6, False))
    assert voice.gain_db == gain
    assert voice.limit_dbfs == LIMIT_DBFS
    assert any(reason.code in ("voice_louder", "voice_quieter") for reason in reasons)


def test_a_good_level_is_not_mentioned() -> None:
    """Less than 1 dB is nothing to tell people of."""
    _, reasons = plan_voice(Heard(AIM_LUFS + 0.4, -6.0, -90.0, 0.6, False))
    assert [reason.code for reason in reasons] == ["voice_speech"]


@pytest.mark.parametrize(("floor", "cleaned"), [(-75.0, 0.0), (-53.0, 7.0), (-35.0, 12.0)])
def test_noise_is_reduced_only_where_it_is_heard(floor: float, cleaned: float) -> None:
    """A quiet room is left alone, a noisy one is cleaned by as much as it needs, at most by what does not hurt."""
    voice, reasons = plan_voice(Heard(AIM_LUFS, -3.0, floor, 0.6, False))
    assert voice.denoise_db == cleaned
    assert any(reason.code == "voice_cleaned" for reason in reasons) == (cleaned > 0)


def test_music_is_not_cleaned_and_gets_more_bits() -> None:
    """What a speech cleaner takes for noise may be a violin."""
    voice, reasons = plan_voice(Heard(AIM_LUFS, -3.0, -40.0, 0.6, True))
    assert (voice.denoise_db, voice.highpass_hz, voice.rate_bps, voice.speech) == (0.0, 0, MUSIC_BPS, False)
    assert reasons[-1].code == "voice_music"
