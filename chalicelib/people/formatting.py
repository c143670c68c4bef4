"""How the documents write a person's age and telephone number where others read them."""

from datetime import date


def format_age(birthday: str, today: date) -> str:
    """Return 36岁, under three years 1岁2个月, under a year 5个月, under a month 12天; "" if unknown.

    birthday is yyyy-MM-dd or "".
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


def mask_phone(phone: str) -> str:
    """Return 138****0001."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "*" * len(phone)
