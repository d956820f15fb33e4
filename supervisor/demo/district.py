"""Pure: the sample district of `make demo`: its schools, people and programme, and when in the week things happen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rules.lifecycle import SessionKind
from rules.rights import Role


@dataclass(frozen=True, slots=True)
class SampleSchool:
    """A school with its measured link in kbit/s."""

    key: str
    name: str
    place: str
    timezone: str
    down_kbps: int
    up_kbps: int


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """A person with one role; `school` None means the district, where coordinators also administer.

    Whoever belongs to no school goes by the district's clock: `timezone`.
    """

    key: str
    name: str
    role: Role
    school: str | None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class SampleSession:
    """A programme item at a place in the week: day 0 is this week's Monday, the time is that of the host's school."""

    title: str
    subject: str
    kind: SessionKind
    grades: str
    host: str
    day: int
    at: time
    minutes: int = 45
    description: str = ""
    in_seminar: bool = True


ZONE = "Asia/Krasnoyarsk"

SCHOOLS = (
    SampleSchool("tikhiy", "Школа № 7 с. Тихий Плёс", "с. Тихий Плёс, ул. Школьная, 1", "Asia/Krasnoyarsk", 512, 384),
    SampleSchool("berezovka", "Берёзовская основная школа", "д. Берёзовка", "Asia/Krasnoyarsk", 256, 128),
    SampleSchool("ust-kem", "Усть-Кемская средняя школа", "п. Усть-Кемь", "Asia/Krasnoyarsk", 1024, 512),
    SampleSchool("sosnovy", "Начальная школа п. Сосновый Бор", "п. Сосновый Бор", "Asia/Krasnoyarsk", 64, 64),
    SampleSchool("kedrovka", "Кедровская средняя школа", "с. Кедровка", "Asia/Novosibirsk", 384, 256),
    SampleSchool("verkhny", "Школа-сад п. Верхний Перевал", "п. Верхний Перевал", "Asia/Irkutsk", 128, 96),
    SampleSchool("ozerny", "Озёрнинская средняя школа", "с. Озёрное", "Asia/Krasnoyarsk", 512, 256),
)

PEOPLE = (
    SamplePerson("coordinator", "Ольга Павловна Суханова", Role.COORDINATOR, None, ZONE),
    SamplePerson("host", "Анна Сергеевна Лаптева", Role.HOST, "tikhiy"),
    SamplePerson("teacher", "Мария Ивановна Зырянова", Role.TEACHER, "berezovka"),
    SamplePerson("school", "Галина Петровна Рукосуева", Role.LIBRARIAN, "sosnovy"),
    SamplePerson("standby", "Николай Андреевич Брюханов", Role.HOST, "ust-kem"),
    SamplePerson("nature", "Татьяна Викторовна Кочергина", Role.HOST, "kedrovka"),
    SamplePerson("letters", "Елена Михайловна Попова", Role.HOST, "ozerny"),
    SamplePerson("primary", "Светлана Юрьевна Шадрина", Role.HOST, "verkhny"),
    SamplePerson("berezovka", "Василий Степанович Панов", Role.COORDINATOR, "berezovka"),
)

SEMINAR = "Неделя открытых уроков: учим класс-комплект"
SEMINAR_DESCRIPTION = (
    "Как вести урок, когда за партами два класса сразу. Учителя района показывают свои приёмы, "
    "в конце недели обсуждаем за круглым столом."
)

LIVE = SampleSession(
    "Дроби и доли: один урок для двух классов",
    "Математика",
    SessionKind.OPEN_LESSON,
    "5+6",
    "host",
    0,
    time(),
    description="Пятый класс вводит доли, шестой складывает дроби. Общая задача в конце урока.",
)
IDLE = SampleSession(
    "Проба связи: проверьте камеру и микрофон",
    "Методическая работа",
    SessionKind.WEBINAR,
    "",
    "standby",
    0,
    time(),
    minutes=480,
    description="Комната открыта весь день: войдите ведущим и посмотрите, как вас видно и слышно в других школах.",
    in_seminar=False,
)
# Held last Friday; its recording stands in the library, with files made by this installation's own worker.
RECORDED = SampleSession(
    "Половина яблока: знакомство с дробями",
    "Математика",
    SessionKind.OPEN_LESSON,
    "5+6",
    "host",
    -3,
    time(10, 0),
    description="Запись урока: делим круг на доли, складываем и решаем задачу о дороге в школу.",
    in_seminar=False,
)
PROGRAMME = (
    SampleSession(
        "Разговор о прочитанном: А. П. Чехов, «Мальчики»",
        *("Литературное чтение", SessionKind.OPEN_LESSON, "3+4", "letters", 0, time(10, 0)),
    ),
    SampleSession(
        "Следы на снегу: кто живёт в нашем лесу",
        *("Окружающий мир", SessionKind.OPEN_LESSON, "1-4", "nature", 1, time(11, 0)),
    ),
    SampleSession(
        "Диктант без страха: работа над ошибками в парах",
        *("Русский язык", SessionKind.OPEN_LESSON, "5+7", "letters", 2, time(9, 30)),
    ),
    SampleSession(
        "Измеряем реку: расстояние до недоступной точки",
        *("Геометрия", SessionKind.OPEN_LESSON, "8+9", "nature", 3, time(12, 0)),
    ),
    SampleSession(
        "Сказки бабушкиного сундука",
        *("Внеурочная деятельность", SessionKind.EXTRACURRICULAR, "1-4", "primary", 3, time(15, 0), 40),
    ),
    SampleSession(
        "Круглый стол: как оценивать два класса на одном уроке",
        *("Методическая работа", SessionKind.ROUND_TABLE, "", "berezovka", 4, time(14, 0), 60),
    ),
    SampleSession(
        "Электронный дневник при слабом интернете",
        *("Методическая работа", SessionKind.WEBINAR, "", "letters", 8, time(15, 0), 60),
        in_seminar=False,
    ),
)


def monday_of(today: date) -> date:
    """Return the Monday of a day's week."""
    return today - timedelta(days=today.weekday())


def starts_at(session: SampleSession, monday: date, zone: str) -> datetime:
    """Return when a programme item starts, in UTC."""
    return datetime.combine(monday + timedelta(days=session.day), session.at, ZoneInfo(zone)).astimezone(UTC)


def open_since(now: datetime) -> datetime:
    """Return a start for what is on right now: the last full five minutes, so that its booking has begun."""
    return now - timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
