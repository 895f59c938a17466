"""The tables of the index. All of them can be rebuilt from the files, except the leases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

SCHEMA = 2
# placeholder: replaced by the folder's own schema in PostgreSQL, and by none in SQLite
PLACE = "store"

metadata = MetaData(schema=PLACE)


def _unit() -> list[Column]:
    return [
        Column("image", String, primary_key=True),
        Column("frame", Integer, primary_key=True, autoincrement=False),
        Column("annotator", String, primary_key=True),
    ]


def _revision() -> list[Column]:
    return [
        Column("image", String, primary_key=True),
        Column("revision", Integer, primary_key=True, autoincrement=False),
    ]


meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)
# last: the highest revision ever given; frames: how many, of the file with this stamp
images = Table(
    "images",
    metadata,
    Column("id", String, primary_key=True),
    Column("path", String, nullable=False, index=True),
    Column("added", Boolean, nullable=False),
    Column("info", Text, nullable=False),
    Column("last", Integer, nullable=False, default=0),
    Column("frames", Integer),
    Column("stamp", String),
)
# record: the version as JSON; stamp: of its two files; hidden: its label was removed
versions = Table(
    "versions",
    metadata,
    *_revision(),
    Column("tag", String, nullable=False),
    Column("annotator", String, nullable=False),
    Column("state", String, nullable=False),
    Column("record", Text, nullable=False),
    Column("key", String),
    Column("stamp", String, nullable=False),
    Column("hidden", Boolean, nullable=False, default=False),
    Index("versions_by_tag", "image", "tag"),
)
# the label of a tag is removed up to this revision
removals = Table(
    "removals",
    metadata,
    Column("image", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("revision", Integer, nullable=False),
)
# additions to the info that a client sent with a version
infos = Table("infos", metadata, *_revision(), Column("info", Text, nullable=False))
reviews = Table(
    "reviews",
    metadata,
    *_revision(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
)
# copies in labels/<tag>/
published = Table(
    "published",
    metadata,
    Column("image", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("mtime", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
)
# who has labelled which frame, by the newest version of each history; frame -1: the whole image
work = Table(
    "work",
    metadata,
    *_unit(),
    Column("revision", Integer, nullable=False),
    Column("state", String, nullable=False),
)
leases = Table(
    "leases",
    metadata,
    *_unit(),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("ends", Float, nullable=False),
)
skips = Table(
    "skips",
    metadata,
    *_unit(),
    Column("reason", String, nullable=False),
    Column("made", Float, nullable=False),
)

# In SQLite every row is stored twice, in its table and in an index over all columns. The integrity check
# compares both and so finds a flipped bit in any value. PostgreSQL has its own checksums.
for _table in metadata.sorted_tables:
    Index(f"{_table.name}_whole", *_table.columns).ddl_if(dialect="sqlite")
