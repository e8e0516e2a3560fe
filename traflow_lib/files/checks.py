"""What pydantic says of wrong input, in one line."""

from typing import Any

from pydantic import ValidationError


def first_fault(error: ValidationError, block: Any) -> tuple[list, Any, str]:
    """The first fault of `block`: the keys that lead to it, the value there, and what is wrong with it.

    pydantic's own path also names the types of a union that it tried; those are no keys.
    """
    fault = error.errors()[0]
    keys, value = [], block
    for key in fault["loc"]:
        in_block = isinstance(value, dict) and key in value
        in_list = isinstance(value, list) and isinstance(key, int)
        if in_block or in_list:
            keys.append(key)
            value = value[key]
        elif fault["type"] == "missing":
            keys.append(key)
            value = None
    message = fault["msg"].removeprefix("Value error, ")
    return keys, value, message[0].lower() + message[1:]
