"""Format a person's age, name and phone number as they are shown to others."""

from datetime import date


def format_age(birthday: str, today: date) -> str:
    """Return the age in Chinese: 36岁, below three years 1岁2个月, below one year 5个月, below one month 12天.

    Args:
        birthday: yyyy-MM-dd, or "" for which "" is returned.
    """
    if not birthday:
        return ""
    born = date.fromisoformat(birthday)
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    years, rest = divmod(months, 12)
    if years >= 3:
        return f"{years}岁"
    if years:
        return f"{years}岁{rest}个月" if rest else f"{years}岁"
    return f"{months}个月" if months else f"{(today - born).days}天"


def compute_years(birthday: date, today: date) -> int:
    """Return the age in whole years."""
    return today.year - birthday.year - ((today.month, today.day) < (birthday.month, birthday.day))


def mask_name(name: str) -> str:
    """Return the first character of a name, whatever its length: 张*, J*. It shows others as little as possible."""
    return f"{name.strip()[:1]}*"


def mask_phone(phone: str) -> str:
    """Return a phone number without its middle digits: 138****0001."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "*" * len(phone)
