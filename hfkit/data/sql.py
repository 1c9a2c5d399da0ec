"""Rows that a query gives."""

from datasets import Dataset

from hfkit.data.notes import tell
from hfkit.data.source import Source
from hfkit.errors import UserError, first_line


def read_sql(source: Source) -> Dataset:
    """The rows that `query` gives from the database at the address `dataset`, such as 'sqlite:///reviews.db'.

    Raises:
        UserError: SQLAlchemy is missing, the database cannot be read, or the query gives no rows.
    """
    shown = source.shown
    try:
        import sqlalchemy
    except ImportError as error:
        raise UserError(
            f"dataset '{shown}'", "databases are read through SQLAlchemy", "Run pip install 'hfkit[sql]'"
        ) from error
    try:
        engine = sqlalchemy.create_engine(source.dataset)
        with engine.connect() as connection:
            result = connection.execute(sqlalchemy.text(source.query or ""))
            names, rows = list(result.keys()), result.fetchall()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise UserError(
            f"dataset '{shown}'", f"the query gives no rows ({first_line(error)})", "Check the address and --query"
        ) from error
    if not rows:
        raise UserError(f"dataset '{shown}'", "the query gives no rows", "Check --query")
    tell(f"{shown}: {len(rows):,} rows of {', '.join(names)}")
    return Dataset.from_dict({name: [row[place] for row in rows] for place, name in enumerate(names)})
