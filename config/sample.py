"""The sample configuration file, generated from the settings so that it can't disagree with them."""

from __future__ import annotations

import json
from pathlib import Path

from config.settings import ENV_PREFIX, Settings

SAMPLE_FILE = Path(__file__).parent / "antlive.sample.toml"


def sample_toml() -> str:
    """A TOML file with every setting, its meaning and its default; settings without one are commented out."""
    lines = ["# Every setting with its default. Name your copy in ANTLIVE_CONFIG; ANTLIVE_* variables win over it."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description} ({ENV_PREFIX}{name.upper()})"]
        if field.default in (None, {}):
            lines.append(f"# {name} =")
        else:
            value = str(field.default) if isinstance(field.default, Path) else field.default
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    SAMPLE_FILE.write_text(sample_toml())
