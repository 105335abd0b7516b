"""Which columns of a table of the Hugging Face hub hold the pictures, their classes, captions and attributes.

    picture      a struct {bytes, path}, or bytes: one named `image` or `img`, else the first
    class        the first that the table's own description calls ClassLabel, else `label` or `labels`
    caption      one named `text`, `caption` or `captions`; of several captions of a picture, the first
    attributes   all columns of truth values

The description is JSON under the key `huggingface` of the table's schema:
{"info": {"features": {column: {"_type": "ClassLabel", "names": […]}, …}}}.
https://huggingface.co/docs/datasets/about_dataset_features
"""

import json
from dataclasses import dataclass
from typing import Any

from sfumato.data.rows import Row

_PICTURES, _LABELS, _CAPTIONS = ("image", "img"), ("label", "labels"), ("text", "caption", "captions")


@dataclass(frozen=True)
class Columns:
    """Names of columns, None where there is none; classes: names of labels 0, 1, …, () where not told."""

    picture: str | None
    label: str | None
    classes: tuple[str, ...]
    caption: str | None
    attributes: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        """The columns of what is known of the pictures."""
        return [name for name in (self.label, self.caption, *self.attributes) if name is not None]


def read_columns(schema: Any) -> Columns:
    """Choose among the columns of a pyarrow schema."""
    from pyarrow import types

    described = _features(schema)
    classes = {name: of["names"] for name, of in described.items() if _is_class(of)}
    pictures = [field.name for field in schema if _is_encoded(field.type)]
    labels = [field.name for field in schema if types.is_integer(field.type) or _is_text(field.type)]
    label = next((name for name in labels if name in classes), _named(_LABELS, labels))
    captions = [field.name for field in schema if _is_text(_of_list(field.type))]
    return Columns(
        picture=_named(_PICTURES, pictures) or next(iter(pictures), None),
        label=label,
        classes=tuple(classes[label]) if label in classes else (),
        caption=_named(_CAPTIONS, captions),
        attributes=tuple(field.name for field in schema if types.is_boolean(field.type)),
    )


def _features(schema: Any) -> dict[str, Any]:
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", "{}")).get("info")
    except json.JSONDecodeError:  # the pictures are there all the same
        return {}
    features: dict[str, Any] = (info or {}).get("features") or {}
    return features


def _is_class(feature: Any) -> bool:
    """Return whether a feature is a class; that of a column of lists may be a list itself."""
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel"


def _named(wanted: tuple[str, ...], names: list[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _is_encoded(kind: Any) -> bool:
    """Return whether a column's values are files: bytes, or a struct with a field `bytes`."""
    from pyarrow import types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_encoded(kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _of_list(kind: Any) -> Any:
    from pyarrow import types

    return kind.value_type if types.is_list(kind) or types.is_large_list(kind) else kind


def read_rows(table: Any, columns: Columns) -> list[Row]:
    """Return what is known of each picture of a pyarrow table, (N rows)."""
    labels = table[columns.label].to_pylist() if columns.label else [None] * len(table)
    captions = table[columns.caption].to_pylist() if columns.caption else [None] * len(table)
    flags = [table[name].to_pylist() for name in columns.attributes]
    return [
        Row(
            _label(labels[place]) if columns.label else None,
            _caption(captions[place]) if columns.caption else None,
            _flags([column[place] for column in flags]),
        )
        for place in range(len(table))
    ]


def _label(value: Any) -> str:
    # The hub's mark of an example without a label, as in test splits of competitions, is -1.
    return "" if value is None or value == -1 else str(value)


def _caption(value: Any) -> str:
    said = [value] if isinstance(value, str) else value or []
    return next((" ".join(text.split()) for text in said if text and text.strip()), "")


def _flags(values: list[Any]) -> tuple[bool, ...] | None:
    return None if not values or None in values else tuple(values)
